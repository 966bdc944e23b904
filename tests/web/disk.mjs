// What a page left behind: in the browser's stores as a page sees them, and in the bytes of the profile.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** All of IndexedDB as text. */
export function databases(page) {
  return page.evaluate(async () => {
    const settled = (request) =>
      new Promise((done, fail) => {
        request.onsuccess = () => done(request.result);
        request.onerror = () => fail(request.error);
      });
    // Buffers and typed arrays, such as a request's body, are shown as the text that they hold.
    const shown = (_key, value) =>
      value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? new TextDecoder().decode(value) : value;
    const found = [];
    for (const { name } of await indexedDB.databases()) {
      const database = await settled(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        found.push(JSON.stringify(await settled(database.transaction(store).objectStore(store).getAll()), shown));
      }
      database.close();
    }
    return found.join('\n');
  });
}

/** localStorage, sessionStorage, Cache and the address as text. */
export function stores(page) {
  return page.evaluate(async () => {
    const found = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), location.href, document.cookie];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) {
        const response = await cache.match(request);
        found.push(request.url, JSON.stringify([...request.headers]), JSON.stringify([...response.headers]), await response.text());
      }
    }
    return found.join('\n');
  });
}

/** Files under a folder that hold any of these texts, as they are or in UTF-16, which is how a browser keeps strings. */
export function filesWith(folder, texts) {
  const needles = texts.flatMap((text) => [Buffer.from(text, 'latin1'), Buffer.from(text, 'utf16le')]);
  const found = [];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    const bytes = readFileSync(file);
    if (needles.some((needle) => bytes.includes(needle))) found.push(path.relative(folder, file));
  }
  return found;
}
