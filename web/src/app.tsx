import { said } from './chat/announce';
import { follow } from './router';
import { subject } from './session/session';
import { Lazy } from './ui/lazy';
import { Welcome } from './welcome';

const loadSigned = () => import(/* webpackChunkName: "signed" */ './signed');

/** The whole app. What only people who are signed in see is loaded when they are. */
export function App() {
  const person = subject.value;
  return (
    <div class="app" onClick={follow}>
      {person === null ? <Welcome /> : <Lazy key={person} load={loadSigned} />}
      <p class="hidden-visually" aria-live="polite">
        {said}
      </p>
    </div>
  );
}
