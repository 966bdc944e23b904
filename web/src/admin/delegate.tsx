// What an agent is to be allowed, and for how long.

import type { JSX } from 'preact';

import { call } from '../api/client';
import { Reach, type Agent } from './agents';
import { text, useSending } from './form';
import { Buttons, Dialog, Field, Trouble } from './parts';

const DAY = 86_400;
const MINUTE = 60;

/** The dialog in which an administrator delegates to an agent. */
export function Delegate(given: {
  readonly agent: Agent;
  readonly close: () => void;
  readonly finish: (what: string) => void;
}): JSX.Element {
  const { agent, close, finish } = given;
  const former = agent.delegation;
  const sending = useSending(async (fields) => {
    const permissions = text(fields, 'permissions').split(/[\s,]+/).filter((one) => one !== '');
    const audience = text(fields, 'audience').split(/[\s,]+/).filter((one) => one !== '');
    await call('post', '/api/admin/delegations/{name}', {
      path: { name: agent.name },
      body: {
        permissions,
        audience,
        ttl_seconds: Number(text(fields, 'minutes')) * MINUTE,
        lifetime_seconds: Number(text(fields, 'days')) * DAY,
        // Bounds are written on the command line; what is delegated here does not lift them.
        ceiling: former?.ceiling ?? null,
        read: former?.read ?? null,
      },
    });
    finish(`${agent.name} may ${permissions.join(', ')}.`);
  });
  return (
    <Dialog title={`Delegate to ${agent.name}`} close={close}>
      <form onSubmit={sending.submit}>
        {former && <p class="quiet">This takes the place of what was delegated before.</p>}
        <Field name="Permissions" hint="Such as write:documents or read:records, with blanks between them.">
          {(id, hint) => (
            <input id={id} aria-describedby={hint} name="permissions" required autocomplete="off" spellcheck={false} defaultValue={former?.permissions.join(' ') ?? ''} />
          )}
        </Field>
        <div class="side-by-side">
          <Field name="Days until it ends">
            {(id) => <input id={id} name="days" type="number" required min={1} max={3650} defaultValue="90" />}
          </Field>
          <Field name="Minutes a token lasts">
            {(id) => <input id={id} name="minutes" type="number" required min={1} max={30} defaultValue={String(former ? Math.max(1, Math.round(former.ttl_seconds / MINUTE)) : 30)} />}
          </Field>
        </div>
        <Field name="Audience" hint="For whom its tokens are; this server if you leave it empty.">
          {(id, hint) => <input id={id} aria-describedby={hint} name="audience" autocomplete="off" spellcheck={false} defaultValue={former?.audience.join(' ') ?? ''} />}
        </Field>
        {former && <Reach delegation={former} />}
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act="Delegate" busy={sending.busy} close={close} />
      </form>
    </Dialog>
  );
}
