// The service worker: keeps the app's files for being offline, attaches the token to calls, and
// keeps questions that could not be sent.

import { Queue, QueueStore } from 'workbox-background-sync';
import { addPlugins, createHandlerBoundToURL, precacheAndRoute, cleanupOutdatedCaches } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';

import { answer, tell, type Handlers, type ToWorker, type Waiting } from '../session/protocol';
import { isCall, sendAs } from './attach';
import { Keeper } from './keeper';
import { renewPolicy } from './policy';
import { Questions, RETENTION, type Store } from './questions';

declare const self: ServiceWorkerGlobalScope & {
  __WB_MANIFEST: (string | { url: string; revision: string | null })[];
};

const PAGE = '/index.html';

precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();
addPlugins([
  {
    cachedResponseWillBeUsed: async ({ cacheName, request, cachedResponse, event }) => {
      if (cachedResponse && new URL(request.url).pathname === PAGE) {
        // Without a network the page stays as it is.
        event.waitUntil(renewPolicy(cacheName, request, cachedResponse.clone()).catch(() => undefined));
      }
      return cachedResponse;
    },
  },
]);
registerRoute(
  new NavigationRoute(createHandlerBoundToURL(PAGE), {
    // The page that a sign-in comes back to has headers of its own, and needs the network anyway.
    denylist: [/^\/api\//, /^\/(callback|silent-callback\.html)(\?|$)/, /^\/(openapi|app-config)\.json/, /^\/(healthz|readyz|metrics)$/],
  }),
);

const keeper = new Keeper(async (client, force) => {
  const page = await self.clients.get(client);
  // The page may have to renew its token first, and for that to load the provider's page in a frame.
  return page ? tell(page, 'TOKEN_REQUEST', { force }, 12_000) : null;
});

// Background Sync where the browser has it; elsewhere workbox replays when the worker starts, and does so while it makes
// the queue: there are no `questions` yet.
const queue = new Queue('questions', { maxRetentionTime: RETENTION, onSync: () => Promise.resolve().then(() => questions.replay()) });
// What the queue is made of. The queue itself cannot remove one entry and leave the others where they are.
const entries = new QueueStore('questions');

const store: Store = {
  pushRequest: (entry) => queue.pushRequest(entry),
  getAll: () => queue.getAll(),
  remove: async (which) => {
    for (const { id, metadata } of await entries.getAll()) {
      if (which(metadata as Waiting)) await entries.deleteEntry(id);
    }
  },
};

const questions: Questions = new Questions(store, keeper, {
  pages: async () => (await self.clients.matchAll({ type: 'window' })).map((page) => page.id),
  deliver: async (client, answered, adopt) => {
    const page = await self.clients.get(client);
    return page ? tell(page, 'QUEUE_ANSWERED', { answered, adopt }) : false;
  },
  send: (request) => fetch(request),
});

const handlers: Handlers<ToWorker> = {
  SET_TOKEN: (token, event) => {
    if (event.source instanceof Client) keeper.set(event.source.id, token);
    return null;
  },
  CLEAR: async () => {
    keeper.clear();
    await questions.clear();
    return null;
  },
  QUEUE_STATE: ({ sub }) => questions.of(sub),
  QUEUE_REPLAY: async ({ sub }) => {
    await questions.replay().catch(() => queue.registerSync());
    return questions.of(sub);
  },
  QUEUE_DROP: ({ key }) => questions.drop(key),
  CLAIM: async () => {
    await self.clients.claim();
    return null;
  },
  SKIP_WAITING: async () => {
    await self.skipWaiting();
    return null;
  },
};

self.addEventListener('message', (event) => event.waitUntil(answer(handlers, event)));

// On the first visit the page has no worker yet, and its first call waits for this.
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  if (isCall(event.request, self.location.origin)) event.respondWith(respond(event));
});

async function respond({ request, clientId }: FetchEvent): Promise<Response> {
  const kept = questions.wants(request) ? request.clone() : null;
  try {
    const response = await sendAs(clientId, request, keeper, (prepared) => fetch(prepared));
    if (response.status === 401) await requireSignIn(clientId);
    return response;
  } catch (error) {
    if (!kept || request.signal.aborted) throw error;
    return questions.keep(kept);
  }
}

async function requireSignIn(client: string): Promise<void> {
  const page = await self.clients.get(client);
  if (page) void tell(page, 'AUTH_REQUIRED', null).catch(() => undefined);
}
