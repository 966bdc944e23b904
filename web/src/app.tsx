import { said } from './chat/announce';
import { follow } from './router';
import { session } from './session/session';
import { Lazy } from './ui/lazy';
import { Welcome } from './welcome';

const loadSigned = () => import(/* webpackChunkName: "signed" */ './signed');

/** The whole app. What only people who are signed in see is loaded when they are. */
export function App() {
  const signedIn = session.value.state === 'signed-in';
  return (
    <div class="app" onClick={follow}>
      {signedIn ? <Lazy load={loadSigned} /> : <Welcome />}
      <p class="hidden-visually" aria-live="polite">
        {said}
      </p>
    </div>
  );
}
