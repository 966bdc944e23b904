// The kept page comes with the policies of the day it was kept. Its Content Security Policy names the provider, which the
// operator may change, and a new server may confine the page more; neither the page nor the worker is a new version for that.

const POLICIES = ['content-security-policy', 'cross-origin-opener-policy', 'permissions-policy'];

/** Keeps the page as the server sends it now, if only its policies are others. In force from the next load on. */
export async function renewPolicy(cacheName: string, key: Request, kept: Response): Promise<void> {
  const now = await fetch(new URL(key.url).pathname, { cache: 'no-store' });
  if (!now.ok || POLICIES.every((name) => now.headers.get(name) === kept.headers.get(name))) return;
  // Another page names files that this worker does not keep. It comes with a worker of its own.
  if ((await now.clone().text()) !== (await kept.text())) return;
  const cache = await caches.open(cacheName);
  await cache.put(key, now);
}
