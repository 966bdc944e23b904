// Who is signed in. The page owns the session and keeps it in memory; nothing of it is stored.

import { computed, signal } from '@preact/signals';
import { ErrorResponse, ErrorTimeout, InMemoryWebStorage, UserManager, WebStorageStateStore, type User } from 'oidc-client-ts';

import { problem } from '../api/problem';
import { lifetime } from './lifetime';
import { clearWorker, controller, giveToken, listen } from './link';
import type { Token } from './protocol';
import { NotRenewed, Renewal } from './renewal';

/** Whether somebody is signed in, and who. */
export type Session =
  | { readonly state: 'starting' }
  | { readonly state: 'signed-out'; readonly why: string | null }
  /** `ended`: in words, once the server or the provider does not go on with it. */
  | { readonly state: 'signed-in'; readonly person: Person; readonly ended: string | null };

/** Who is signed in. */
export interface Person {
  readonly sub: string;
  /** For people to read: name, address or `sub`, whichever the provider tells. */
  readonly name: string;
}

/** Where sign-ins come back to, and what they carry along. */
interface Carried {
  readonly returnTo: string;
  /** A question that was not sent yet. */
  readonly draft: string;
}

/** Who is signed in, now. */
export const session = signal<Session>({ state: 'starting' });
/** The `sub` of whoever is signed in; `null` if nobody is. */
export const subject = computed(() => (session.value.state === 'signed-in' ? session.value.person.sub : null));
/** When the token ends, in Unix seconds. */
export const expires = signal<number | null>(null);
/** A question that survived the way to the provider and back. */
export const carriedDraft = signal('');

const INSECURE =
  'This page was opened over http, and a browser signs people in over https only. Open its address with https:// in front, or ask ' +
  'whoever runs the server for it.';
const UNREACHABLE = 'The sign-in service cannot be reached. Check your connection and try again.';
const REFUSED = 'The sign-in service did not sign you in. Try again, or ask an administrator.';
const NO_SERVER = 'The server cannot be reached. Check your connection and try again.';
const HERE_ALONE = 'You are signed out here. The sign-in service could not be told: sign out there, too, when you are back.';
const ENDED = 'Your session has ended. What is on this page stays.';
const CLOSED = 'The window was closed before you were signed in.';
const ELSEWHERE = 'You signed out in another tab.';
const SOMEBODY_ELSE = 'Somebody else signed in in another tab.';

type News = { readonly signedOut: true } | { readonly signedIn: string };

const tabs = new BroadcastChannel('bailiwick-session');
let manager: UserManager | null = null;
const leaving: (() => Promise<void>)[] = [];

const renewal = new Renewal(
  async () => tokenOf(await renewSilently()),
  (token) => {
    setEnded(null);
    // What follows from the new token is asked with it.
    void giveToken(token).finally(() => {
      if (subject.peek() === token.sub) expires.value = token.exp;
    });
  },
  () => end(),
);

/** Called when a person signs out, to forget what is hers. */
export function whenLeaving(forget: () => Promise<void>): void {
  leaving.push(forget);
}

/** Finds out who is signed in. Shows a sign-in button if that takes the person's help. */
export async function start(): Promise<void> {
  listen({
    TOKEN_REQUEST: ({ force }) => renewal.token(force),
    AUTH_REQUIRED: () => {
      end();
      return null;
    },
  });
  tabs.onmessage = ({ data }: MessageEvent<News>) => void heard(data);
  if (!isSecureContext) {
    session.value = { state: 'signed-out', why: INSECURE };
    return;
  }
  try {
    manager = await configured();
  } catch {
    session.value = { state: 'signed-out', why: NO_SERVER };
    return;
  }
  try {
    await (location.pathname === '/callback' ? comeBack(manager) : signInSilently(manager));
  } catch (error) {
    session.value = { state: 'signed-out', why: sentence(error) };
  }
}

async function configured(): Promise<UserManager> {
  const response = await fetch('/app-config.json');
  if (!response.ok) throw new Error('no configuration');
  const config = (await response.json()) as { issuer: string; client_id: string; scopes: string[] };
  return new UserManager({
    authority: config.issuer,
    client_id: config.client_id,
    scope: config.scopes.join(' '),
    redirect_uri: `${location.origin}/callback`,
    silent_redirect_uri: `${location.origin}/silent-callback.html`,
    popup_redirect_uri: `${location.origin}/callback`,
    post_logout_redirect_uri: `${location.origin}/`,
    userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
    // Holds `state` and the PKCE verifier while the person is at the provider, and nothing after.
    stateStore: new WebStorageStateStore({ store: sessionStorage }),
    automaticSilentRenew: false,
    monitorSession: false,
    requestTimeoutInSeconds: 10,
  });
}

async function comeBack(manager: UserManager): Promise<void> {
  if (opener !== null && !isOurs()) {
    // The page that opened this window keeps the sign-in's state and does the rest.
    await manager.signinPopupCallback();
    return;
  }
  if (!isOurs()) {
    // It was finished before this page was loaded anew, or never begun here.
    show('/');
    await signInSilently(manager);
    return;
  }
  try {
    const user = await manager.signinRedirectCallback();
    const carried = user.state as Carried | undefined;
    show(carried?.returnTo ?? '/');
    carriedDraft.value = carried?.draft ?? '';
    await signedIn(user);
  } catch (error) {
    show('/');
    session.value = { state: 'signed-out', why: isLoginRequired(error) ? null : sentence(error) };
  }
}

/** Goes to a view, and takes what came from the provider out of the address. */
function show(view: string): void {
  history.replaceState(null, '', view);
  dispatchEvent(new PopStateEvent('popstate'));
}

/** Whether this window began the sign-in that comes back to it; a sign-in from elsewhere is not finished. */
function isOurs(): boolean {
  const state = new URLSearchParams(location.search).get('state');
  return sessionStorage.getItem(`oidc.${state}`) !== null;
}

async function signInSilently(manager: UserManager): Promise<void> {
  try {
    const user = await manager.signinSilent({ silentRequestTimeoutInSeconds: 5 });
    if (user) await signedIn(user);
    else session.value = { state: 'signed-out', why: null };
  } catch (error) {
    if (!isLoginRequired(error) && !(error instanceof ErrorTimeout)) throw error;
    // A frame of another site may be kept from its own cookies, or not be shown at all; the whole page is. Tried only
    // after a reload, so that a first visit does not wander to the provider and back.
    const navigation = performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming | undefined;
    const elsewhere = new URL(manager.settings.authority).hostname !== location.hostname;
    if (elsewhere && navigation?.type === 'reload') await manager.signinRedirect({ prompt: 'none', state: carry('') });
    else session.value = { state: 'signed-out', why: null };
  }
}

async function signedIn(user: User): Promise<void> {
  const { sub, name, email } = user.profile;
  const token = tokenOf(user);
  const before = session.peek();
  if (before.state === 'signed-in' && before.person.sub !== sub) {
    // Until the worker has forgotten the person before, it would send a call of this page as that person.
    renewal.end();
    await forget();
  }
  renewal.begin(token);
  expires.value = token.exp;
  session.value = { state: 'signed-in', person: { sub, name: name ?? email ?? sub }, ended: null };
  void giveToken(token);
  tabs.postMessage({ signedIn: sub } satisfies News);
}

/** Takes the person to the provider, and back to where she was. */
export async function signIn(draft = ''): Promise<void> {
  try {
    manager ??= await configured();
  } catch {
    session.value = { state: 'signed-out', why: NO_SERVER };
    return;
  }
  try {
    await manager.signinRedirect({ state: carry(draft) });
  } catch (error) {
    session.value = { state: 'signed-out', why: sentence(error) };
  }
}

/** Signs the same person in again beside the page, so that nothing on it is lost. Resolves to whether that worked. */
export async function signInAgain(draft: string): Promise<boolean> {
  const before = session.peek();
  if (!manager || before.state !== 'signed-in') return false;
  // It was renewed meanwhile.
  if (before.ended === null) return true;
  try {
    // Nothing is tried before: a browser opens a window only at a press, and not long after it.
    const user = await manager.signinPopup({ popupAbortOnClose: true });
    await signedIn(user);
    return user.profile.sub === before.person.sub;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    // What the library says where the browser opened none.
    if (message.includes('disposed window')) await signIn(draft);
    else setEnded(message.includes('closed by user') ? CLOSED : sentence(error));
    return false;
  }
}

/** Ends the session everywhere: here, in the other tabs, in the worker and at the provider. */
export async function signOut(): Promise<void> {
  renewal.end();
  tabs.postMessage({ signedOut: true } satisfies News);
  await forget();
  session.value = { state: 'signed-out', why: null };
  try {
    await manager?.revokeTokens().catch(() => undefined);
    // Without the user there is no ID token to send along, which would end up in logs.
    await manager?.removeUser();
    // Without a network the way to the provider ends at an error page of the browser.
    if (navigator.onLine) await manager?.signoutRedirect();
    else session.value = { state: 'signed-out', why: HERE_ALONE };
  } catch {
    // The provider does not answer or cannot sign out; here the session is over all the same.
  }
}

async function heard(news: News): Promise<void> {
  const now = session.peek();
  if (now.state !== 'signed-in') return;
  if ('signedIn' in news && news.signedIn === now.person.sub) return;
  renewal.end();
  await manager?.removeUser();
  session.value = { state: 'signed-out', why: 'signedOut' in news ? ELSEWHERE : SOMEBODY_ELSE };
  await forgetHere();
}

async function forget(): Promise<void> {
  await Promise.allSettled([clearWorker(), forgetHere()]);
}

async function forgetHere(): Promise<void> {
  expires.value = null;
  carriedDraft.value = '';
  await Promise.allSettled(leaving.map((forget) => forget()));
}

/** Sends a request of the signed-in person. The worker attaches the token, or the page if there is none. */
export async function authorized(request: Request): Promise<Response> {
  if (session.peek().state !== 'signed-in') throw problem('signed-out', 401);
  const response = (await controller()) ? await fetch(request) : await attach(request);
  if (response.status === 401) end();
  return response;
}

/** What the worker would do, where there is no worker, such as after a forced reload. */
async function attach(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await fetch(withToken(request, await renewal.token().catch(() => null)));
  if (response.status !== 401) return response;
  const fresh = await renewal.token(true).catch(() => null);
  return fresh ? fetch(withToken(again, fresh)) : response;
}

function withToken(request: Request, token: Token | null): Request {
  if (token) request.headers.set('authorization', `Bearer ${token.token}`);
  return request;
}

async function renewSilently(): Promise<User> {
  try {
    const user = await manager?.signinSilent();
    if (!user) throw new NotRenewed(true);
    const now = session.peek();
    if (now.state === 'signed-in' && user.profile.sub !== now.person.sub) throw new NotRenewed(true);
    return user;
  } catch (error) {
    throw error instanceof NotRenewed ? error : new NotRenewed(error instanceof ErrorResponse);
  }
}

function tokenOf(user: User): Token {
  const now = Date.now() / 1000;
  return { token: user.access_token, sub: user.profile.sub, exp: now + lifetime(user.access_token, user.expires_in, now) };
}

/** Says that the session has ended, if nothing more exact is said of it yet. */
function end(): void {
  const now = session.peek();
  if (now.state === 'signed-in') setEnded(now.ended ?? ENDED);
}

function setEnded(ended: string | null): void {
  const now = session.peek();
  if (now.state === 'signed-in' && now.ended !== ended) session.value = { ...now, ended };
}

function carry(draft: string): Carried {
  return { returnTo: location.pathname === '/callback' ? '/' : location.pathname + location.hash, draft };
}

function isLoginRequired(error: unknown): boolean {
  const refusals = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required'];
  return error instanceof ErrorResponse && refusals.includes(error.error ?? '');
}

function sentence(error: unknown): string {
  return error instanceof ErrorResponse ? REFUSED : UNREACHABLE;
}
