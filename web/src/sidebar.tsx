import { conversations } from './chat/conversations';
import { forget, keep, kept } from './chat/keep';
import { go, path } from './router';
import { me } from './session/me';
import { Icon, Mark } from './ui/icon';

/** The conversations of this person, and the way to the other views. */
export function Sidebar({ onDone }: { onDone: () => void }) {
  const list = conversations.value;
  const begin = () => {
    go('/');
    onDone();
    document.getElementById('question')?.focus();
  };
  return (
    <nav class="sidebar" aria-label="Conversations">
      <a class="brand" href="/" onClick={onDone}>
        <Mark /> Bailiwick
      </a>
      <button class="button new" onClick={begin}>
        <Icon name="plus" /> New question
      </button>
      {list.length === 0 ? (
        <p class="none">Your questions will stand here.</p>
      ) : (
        <ul class="conversations">
          {list.map((one) => {
            const here = path.value === `/c/${one.id}`;
            return (
              <li key={one.id} class={here ? 'here' : ''}>
                <a href={`/c/${one.id}`} aria-current={here ? 'page' : undefined}>
                  {one.title}
                </a>
                <button class="tap" aria-label={`Remove: ${one.title.value}`} onClick={() => forget(one)}>
                  <Icon name="bin" />
                </button>
              </li>
            );
          })}
        </ul>
      )}
      <div class="foot">
        {me.value?.administrator && (
          <a class="admin" href="/admin" aria-current={path.value.startsWith('/admin') ? 'page' : undefined}>
            <Icon name="gear" /> Administration
          </a>
        )}
        <label class="switch">
          <input type="checkbox" role="switch" checked={kept.value} onChange={(event) => void keep(event.currentTarget.checked)} />
          <span>
            Keep my conversations on this device
            <small>Until you sign out. Otherwise they are gone when you close the page.</small>
          </span>
        </label>
      </div>
    </nav>
  );
}
