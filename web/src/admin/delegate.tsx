// What an agent is to be allowed, on which documents, and for how long.

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { Agent } from './agents';
import { boundsOf, rowsOf } from './bounds';
import { BoundsFields } from './bounds-form';
import { text, useSending } from './form';
import { Buttons, Dialog, Field, Trouble } from './parts';
import type { InForce } from './policy';

const DAY = 86_400;
const MINUTE = 60;

/** The dialog in which an administrator delegates to an agent. */
export function Delegate(given: {
  readonly agent: Agent;
  readonly attributes: InForce['attributes'];
  readonly close: () => void;
  readonly finish: (what: string) => void;
}): JSX.Element {
  const { agent, attributes, close, finish } = given;
  const former = agent.delegation;
  const [ceiling, writeCeiling] = useState(() => rowsOf(former?.ceiling));
  const [read, writeRead] = useState(() => rowsOf(former?.read));
  const sending = useSending(async (fields) => {
    const permissions = words(fields, 'permissions');
    await call('post', '/api/admin/delegations/{name}', {
      path: { name: agent.name },
      body: {
        permissions,
        audience: words(fields, 'audience'),
        ttl_seconds: Number(text(fields, 'minutes')) * MINUTE,
        lifetime_seconds: Number(text(fields, 'days')) * DAY,
        ceiling: boundsOf(ceiling),
        read: boundsOf(read),
      },
    });
    finish(`${agent.name} may ${permissions.join(', ')}.`);
  });
  return (
    <Dialog title={`Delegate to ${agent.name}`} close={close}>
      <form onSubmit={sending.submit}>
        {former && <p class="quiet">This takes the place of what was delegated before.</p>}
        <Field name="Permissions" hint="Such as write:documents or read:records, with blanks between them.">
          {(id, about) => (
            <input id={id} aria-describedby={about} name="permissions" required autocomplete="off" spellcheck={false} defaultValue={former?.permissions.join(' ') ?? ''} />
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
        <BoundsFields name="Documents that it may write" unbounded="Any, if its permissions let it write." attributes={attributes} rows={ceiling} write={writeCeiling} />
        <BoundsFields name="Documents that it may read for people" unbounded="None. With a bound: those within it that the person may read, too." attributes={attributes} rows={read} write={writeRead} />
        <Field name="Audience" hint="For whom its tokens are; this server if you leave it empty.">
          {(id, about) => <input id={id} aria-describedby={about} name="audience" autocomplete="off" spellcheck={false} defaultValue={former?.audience.join(' ') ?? ''} />}
        </Field>
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act="Delegate" busy={sending.busy} close={close} />
      </form>
    </Dialog>
  );
}

function words(fields: FormData, name: string): string[] {
  return text(fields, name).split(/[\s,]+/).filter((one) => one !== '');
}
