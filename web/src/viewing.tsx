import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { me, type Me } from './session/me';
import { expires, session, signOut } from './session/session';
import { Chips, spoken, values } from './ui/chips';
import { Icon } from './ui/icon';

/** "Viewing as": whose rights apply, what they are made of, and until when. */
export function Viewing() {
  const now = session.value;
  if (now.state !== 'signed-in') return null;
  const { name } = now.person;
  return (
    <div class="viewing">
      <button class="person" popovertarget="viewing">
        <span class="who">
          <span class="hint">Viewing as</span> {name}
        </span>
        <span class="initials" aria-hidden="true">
          {initials(name)}
        </span>
      </button>
      <div id="viewing" popover="auto" class="popover" role="dialog" aria-label="Viewing as">
        <h2>{name}</h2>
        {me.value ? <Claims of={me.value} /> : <p class="quiet">The server has not said yet what you may read.</p>}
        <Expiry />
        <button class="button" onClick={() => void signOut()}>
          <Icon name="out" /> Sign out
        </button>
      </div>
    </div>
  );
}

function Claims({ of }: { of: Me }) {
  const { labels, chunks } = of.bailiwick;
  return (
    <>
      <dl>
        {Object.entries(of.claims).map(([claim, value]) => (
          <div key={claim}>
            <dt>{spoken(claim)}</dt>
            <dd>
              <Chips of={{ [claim]: values(value) }} />
            </dd>
          </div>
        ))}
        {of.missing.map((claim) => (
          <div key={claim}>
            <dt>{spoken(claim)}</dt>
            <dd class="quiet">not in your sign-in, so it opens nothing</dd>
          </div>
        ))}
      </dl>
      <p>
        You may read <strong>{chunks.toLocaleString('en')}</strong> {chunks === 1 ? 'passage' : 'passages'} under{' '}
        <strong>{labels.toLocaleString('en')}</strong> {labels === 1 ? 'label' : 'labels'}.
      </p>
    </>
  );
}

function Expiry() {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 10_000);
    return () => clearInterval(timer);
  }, [now]);
  if (expires.value === null) return null;
  const minutes = Math.round((expires.value * 1000 - now.value) / 60_000);
  const left = minutes < 1 ? 'less than a minute' : minutes === 1 ? '1 minute' : `${minutes} minutes`;
  return <p class="quiet">These claims hold for {left}, and are then asked for again.</p>;
}

function initials(name: string): string {
  const words = name.split(/[\s@._-]+/).filter((word) => word !== '');
  return words
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join('');
}
