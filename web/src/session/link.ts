// The page's end of the line to the service worker.

import { signal } from '@preact/signals';

import { answer, tell, type Handlers, type ToPage, type Token, type ToWorker } from './protocol';

/** A new version of the app waits to take over. */
export const updateWaits = signal(false);

/** How long a first call waits for the worker to take the page over, in milliseconds. */
const TAKEOVER = 2000;
/** How often a page that stays open asks for a new version, in milliseconds. */
const HOURLY = 60 * 60 * 1000;

const handlers: Partial<Handlers<ToPage>> = {};
let registration: ServiceWorkerRegistration | null = null;
let takeover: Promise<unknown> | null = null;

/** Says what to do with messages of the worker. */
export function listen(more: Partial<Handlers<ToPage>>): void {
  Object.assign(handlers, more);
}

/** Installs the worker. Without one everything works but being offline. */
export async function install(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const container = navigator.serviceWorker;
  container.addEventListener('message', (event) => void answer(handlers as Handlers<ToPage>, event));
  container.startMessages();
  try {
    registration = await container.register(scriptUrl(), { updateViaCache: 'none' });
  } catch {
    return;
  }
  if (!container.controller) takeover = takenOver(container, registration);
  watch(registration);
  setInterval(() => void registration?.update().catch(() => undefined), HOURLY);
}

/** A registration takes a script's address, which Trusted Types let only this policy make. */
function scriptUrl(): URL {
  const factory = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: object): { createScriptURL(url: string): URL } } })
    .trustedTypes;
  if (!factory) return '/sw.js' as unknown as URL;
  const policy = factory.createPolicy('bailiwick-worker', { createScriptURL: () => '/sw.js' });
  return policy.createScriptURL('/sw.js');
}

function watch(registration: ServiceWorkerRegistration): void {
  const look = () => {
    updateWaits.value = registration.waiting !== null && navigator.serviceWorker.controller !== null;
  };
  look();
  registration.addEventListener('updatefound', () => {
    registration.installing?.addEventListener('statechange', look);
  });
}

/** Loads the page anew, with the version that waits if there is one. */
export function update(): void {
  const waiting = registration?.waiting;
  if (!waiting) {
    location.reload();
    return;
  }
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  void tell(waiting, 'SKIP_WAITING', null).catch(() => undefined);
}

/** The worker that sees this page's requests, if there is one. */
export async function controller(): Promise<ServiceWorker | null> {
  if (!('serviceWorker' in navigator)) return null;
  if (!navigator.serviceWorker.controller && takeover) await takeover;
  return navigator.serviceWorker.controller;
}

/**
 * Waits until the worker has taken this page over. A worker takes over the pages that are open when it becomes active.
 * One that is active already has missed this page, which was just being loaded, or was reloaded by force, and is asked.
 */
function takenOver(container: ServiceWorkerContainer, { active }: ServiceWorkerRegistration): Promise<void> {
  const taken = once(container, 'controllerchange', TAKEOVER);
  if (active) void tell(active, 'CLAIM', null).catch(() => undefined);
  return taken;
}

function once(target: EventTarget, name: string, patience: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, patience);
    target.addEventListener(name, () => resolve(), { once: true });
  });
}

/** Sends the worker a message. `null` without a worker, or if it does not reply. */
export async function ask<N extends keyof ToWorker>(name: N, body: ToWorker[N]['send']): Promise<ToWorker[N]['reply'] | null> {
  const worker = await controller();
  return worker ? await tell(worker, name, body).catch(() => null) : null;
}

/** Gives the worker the token, so that it need not ask. */
export async function giveToken(token: Token): Promise<void> {
  await ask('SET_TOKEN', token);
}

/** Lets every worker of this site forget the token and what waits, also one that has not taken over. */
export async function clearWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const workers = [navigator.serviceWorker.controller, registration?.active, registration?.waiting];
  const distinct = new Set(workers.filter((worker) => worker !== null && worker !== undefined));
  await Promise.allSettled([...distinct].map((worker) => tell(worker, 'CLEAR', null)));
}
