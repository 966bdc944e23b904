// The kept page comes with the Content Security Policy of the day it was kept, which names the provider. The operator
// may change the provider, and neither the page nor the worker is a new version for that.

const POLICY = 'content-security-policy';

/** Keeps the page as the server sends it now, if only its policy is another. In force from the next load on. */
export async function renewPolicy(cacheName: string, key: Request, kept: Response): Promise<void> {
  const now = await fetch(new URL(key.url).pathname, { cache: 'no-store' });
  if (!now.ok || now.headers.get(POLICY) === kept.headers.get(POLICY)) return;
  // Another page names files that this worker does not keep. It comes with a worker of its own.
  if ((await now.clone().text()) !== (await kept.text())) return;
  const cache = await caches.open(cacheName);
  await cache.put(key, now);
}
