import { useSignal, type Signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

import { said } from './chat/announce';
import { Chat } from './chat/chat';
import { carriedDraft, session, signInAgain } from './session/session';
import { update, updateWaits } from './session/link';
import { follow, path } from './router';
import { Sidebar } from './sidebar';
import { Beside } from './ui/beside';
import { Icon, Mark } from './ui/icon';
import { Viewing } from './viewing';
import { Welcome } from './welcome';

/** The whole app. */
export function App() {
  const now = session.value;
  return (
    <div class="app" onClick={follow}>
      {now.state === 'signed-in' ? <Signed /> : <Welcome />}
      <p class="hidden-visually" aria-live="polite">
        {said}
      </p>
    </div>
  );
}

function Signed() {
  const drawer = useSignal(false);
  const here = path.value;
  const administers = here.startsWith('/admin');
  useEffect(() => {
    drawer.value = false;
  }, [here, drawer]);
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <Beside side="left" label="Conversations" roomFrom="64rem" open={drawer.value} onClose={() => (drawer.value = false)}>
        <Sidebar onDone={() => (drawer.value = false)} />
      </Beside>
      <div class="middle">
        <Top drawer={drawer} />
        <Banners />
        <div class="content">
          {administers ? <Administration /> : <Chat />}
        </div>
      </div>
    </>
  );
}

/** The administrator's views, which most people never load. */
function Administration() {
  const views = useSignal<ComponentType | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    void import('./admin').then(
      (loaded) => (views.value = loaded.default),
      () => (failed.value = true),
    );
  }, [views, failed]);
  const Views = views.value;
  return (
    <main class="column" id="main" aria-busy={!Views && !failed.value}>
      {Views && <Views />}
      {failed.value && <p class="notice failed">This part of the page could not be loaded. Check your connection and reload the page.</p>}
    </main>
  );
}

function Top({ drawer }: { drawer: Signal<boolean> }) {
  return (
    <header class="top">
      <button class="tap narrow" aria-label="Conversations" onClick={() => (drawer.value = true)}>
        <Icon name="menu" />
      </button>
      <a class="brand narrow" href="/">
        <Mark /> Bailiwick
      </a>
      <Viewing />
    </header>
  );
}

/** What concerns the whole page. */
function Banners() {
  const now = session.value;
  return (
    <>
      {now.state === 'signed-in' && now.ended && (
        <div class="banner" role="status">
          <p>Your session has ended. What is on this page stays.</p>
          <button class="button" onClick={() => void signInAgain(carriedDraft.peek())}>
            Sign in again
          </button>
        </div>
      )}
      {updateWaits.value && (
        <div class="banner" role="status">
          <p>There is a new version of this page.</p>
          <button class="button" onClick={update}>
            Reload
          </button>
        </div>
      )}
    </>
  );
}
