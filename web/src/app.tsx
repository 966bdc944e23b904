import { follow, path } from './router';
import { session, signIn, signOut } from './session/session';
import { call } from './api/client';
import { useState } from 'preact/hooks';

/** The whole app. */
export function App() {
  const now = session.value;
  return (
    <div onClick={follow}>
      {now.state === 'starting' && <p>…</p>}
      {now.state === 'signed-out' && (
        <main>
          <h1>Bailiwick</h1>
          <p>{now.why}</p>
          <button onClick={() => void signIn()}>Sign in</button>
        </main>
      )}
      {now.state === 'signed-in' && (
        <main>
          <p>{now.person.name} at {path.value} {now.ended && 'ended'}</p>
          <Me />
          <button onClick={() => void signOut()}>Sign out</button>
        </main>
      )}
    </div>
  );
}

function Me() {
  const [text, setText] = useState('');
  return (
    <div>
      <button onClick={() => void call('get', '/api/me').then((me) => setText(JSON.stringify(me)), (error: unknown) => setText(String(error)))}>Me</button>
      <pre>{text}</pre>
    </div>
  );
}
