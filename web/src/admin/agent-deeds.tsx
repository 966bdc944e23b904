// What one does to an agent or to what it brought, and is asked about before.

import type { ComponentChildren, JSX } from 'preact';

import { call } from '../api/client';
import type { Agent } from './agents';
import { useSending } from './form';
import { Buttons, Dialog, Trouble } from './parts';

interface Deed {
  /** The word on the button. */
  readonly button: string;
  readonly danger: boolean;
  /** The same with what it is done to. */
  readonly whole: (name: string) => string;
  readonly about: (name: string) => ComponentChildren;
  readonly done: (name: string) => string;
  readonly run: (name: string, hold: boolean) => Promise<unknown>;
}

/** What can be done. */
export type Act = 'withdraw' | 'revoke' | 'quarantine' | 'release' | 'purge';

const quarantine = (name: string) => call('post', '/api/admin/agents/{name}/quarantine', { path: { name } });

export const DEEDS: Readonly<Record<Act, Deed>> = {
  withdraw: {
    button: 'Take back',
    danger: false,
    whole: (name) => `Take back from ${name}`,
    about: () => 'Its tokens are refused from the next request on. You can delegate to it again.',
    done: (name) => `What was delegated to ${name} is taken back.`,
    run: (name) => call('delete', '/api/admin/delegations/{name}', { path: { name } }),
  },
  revoke: {
    button: 'Revoke',
    danger: true,
    whole: (name) => `Revoke ${name}`,
    about: (name) => <>Its tokens are refused from the next request on, and <strong>{name}</strong> never comes back, not even by name.</>,
    done: (name) => `${name} is revoked.`,
    run: (name, hold) => (hold ? quarantine(name) : call('post', '/api/admin/agents/{name}/revoke', { path: { name } })),
  },
  quarantine: {
    button: 'Quarantine',
    danger: true,
    whole: (name) => `Quarantine what ${name} brought`,
    about: () => 'Nobody can read it from now on, until you release or remove it.',
    done: (name) => `What ${name} brought is in quarantine.`,
    run: quarantine,
  },
  release: {
    button: 'Release',
    danger: false,
    whole: (name) => `Release what ${name} brought`,
    about: (name) => <>It can be read again by those who could before. <strong>{name}</strong> stays revoked.</>,
    done: (name) => `What ${name} brought is released.`,
    run: (name) => call('post', '/api/admin/agents/{name}/release', { path: { name } }),
  },
  purge: {
    button: 'Remove',
    danger: true,
    whole: (name) => `Remove what ${name} brought`,
    about: () => 'The documents are gone for good. What the audit trail says of them stays.',
    done: (name) => `What ${name} brought is removed.`,
    run: (name) => call('post', '/api/admin/agents/{name}/purge', { path: { name } }),
  },
};

/** The dialog that asks once more. */
export function Confirm(given: {
  readonly act: Act;
  readonly agent: Agent;
  readonly close: () => void;
  readonly finish: (what: string) => void;
}): JSX.Element {
  const { act, agent: { name }, close, finish } = given;
  const { danger, whole, about, done, run } = DEEDS[act];
  const sending = useSending(async (fields) => {
    const hold = fields.has('hold');
    await run(name, hold);
    finish(hold ? `${name} is revoked, and what it brought is in quarantine.` : done(name));
  });
  return (
    <Dialog title={`${whole(name)}?`} close={close}>
      <form onSubmit={sending.submit}>
        <p>{about(name)}</p>
        {act === 'revoke' && (
          <label class="tick">
            <input type="checkbox" name="hold" />
            <span>Quarantine what it brought: nobody can read it until you release or remove it. Otherwise it stays.</span>
          </label>
        )}
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act={whole(name)} busy={sending.busy} danger={danger} close={close} />
      </form>
    </Dialog>
  );
}
