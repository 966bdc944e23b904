import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import './styles/chat.css';
import { announce } from './chat/announce';
import { Chat } from './chat/chat';
import { lookAfterKept } from './chat/keep';
import { lookAfter } from './chat/waiting';
import { path } from './router';
import { update, updateWaits } from './session/link';
import { watchMe } from './session/me';
import { carriedDraft, session, signInAgain, whenLeaving } from './session/session';
import { Sidebar } from './sidebar';
import { Beside } from './ui/beside';
import { Icon, Mark } from './ui/icon';
import { Lazy } from './ui/lazy';
import { Viewing } from './viewing';

const loadAdministration = () => import(/* webpackChunkName: "admin" */ './admin');

watchMe();
lookAfterKept();
lookAfter();
whenLeaving(async () => {
  document.title = 'Bailiwick';
  announce('');
});

/** What somebody sees who is signed in. */
export default function Signed() {
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
          {administers ? (
            <main class="column" id="main" tabIndex={-1}>
              <Lazy load={loadAdministration} />
            </main>
          ) : (
            <Chat />
          )}
        </div>
      </div>
    </>
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
          <p>{now.ended}</p>
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
