import { online } from './online';
import { update } from './session/link';
import { session, signIn } from './session/session';
import { Mark } from './ui/icon';

/** What somebody sees who is not signed in. */
export function Welcome() {
  const now = session.value;
  return (
    <main class="welcome" id="main">
      <Mark />
      <h1>Bailiwick</h1>
      <p class="lead">Ask your company’s documents. Every answer stays inside what you may read, and names its sources.</p>
      {now.state === 'signed-out' && now.why && (
        <p class="notice failed" role="alert">
          {now.why}
        </p>
      )}
      {!online.value && (
        <p class="notice" role="status">
          You are offline. Sign in when you are back.
        </p>
      )}
      {now.state === 'starting' ? (
        <p class="button strong large idle" role="status">
          Looking whether you are signed in
        </p>
      ) : (
        isSecureContext && (
          <button class="button strong large" onClick={() => void signIn()}>
            Sign in
          </button>
        )
      )}
      {isSecureContext && now.state === 'signed-out' && now.why && (
        <button class="button plain" onClick={update}>
          Look again
        </button>
      )}
    </main>
  );
}
