// Agents: who brings documents, what is delegated to them, and taking it back.

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { Delegate } from './delegate';
import { text, useSending } from './form';
import { useLoaded } from './loaded';
import { Ago, Await, Buttons, Dialog, Field, Table, Trouble, type Column } from './parts';
import { bounds, day } from './words';

/** A workload that ingests. */
export type Agent = components['schemas']['Agent'];

type Asked = { readonly act: 'create' } | { readonly act: 'delegate' | 'withdraw' | 'revoke'; readonly agent: Agent };

const load = (signal: AbortSignal) => call('get', '/api/admin/agents', { signal });

/** The list of agents, with what one can do to each. */
export function Agents(): JSX.Element {
  const agents = useLoaded(load);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [done, setDone] = useState('');
  const close = () => setAsked(null);
  const finish = (what: string) => {
    close();
    setDone(what);
    agents.again();
  };
  return (
    <section aria-label="Agents">
      <div class="bar">
        <p class="done" role="status">{done}</p>
        <button type="button" class="button strong" onClick={() => setAsked({ act: 'create' })}>New agent</button>
      </div>
      <Await from={agents}>{(list) => <List agents={list} ask={setAsked} />}</Await>
      {asked?.act === 'create' && <Create close={close} finish={finish} />}
      {asked?.act === 'delegate' && <Delegate agent={asked.agent} close={close} finish={finish} />}
      {asked?.act === 'withdraw' && <Withdraw agent={asked.agent} close={close} finish={finish} />}
      {asked?.act === 'revoke' && <Revoke agent={asked.agent} close={close} finish={finish} />}
    </section>
  );
}

function List({ agents, ask }: { readonly agents: readonly Agent[]; readonly ask: (asked: Asked) => void }): JSX.Element {
  if (agents.length === 0) {
    return <p class="empty">No agent is registered yet. Make one, then delegate to it what it needs.</p>;
  }
  const columns: Column<Agent>[] = [
    { name: 'Agent', kind: 'main', cell: (agent) => <Name agent={agent} /> },
    { name: 'May', cell: (agent) => <May agent={agent} /> },
    { name: 'Last used', cell: ({ last_used_at: used }) => (used ? <Ago time={used} /> : <span class="quiet">never</span>) },
    { name: 'Actions', kind: 'actions', cell: (agent) => <Actions agent={agent} ask={ask} /> },
  ];
  const living = agents.filter((agent) => !agent.revoked_at);
  const gone = agents.filter((agent) => agent.revoked_at);
  return (
    <>
      <Table caption="Agents" columns={columns} rows={living} rowKey={(agent) => agent.client_id} />
      {gone.length > 0 && (
        <details class="more">
          <summary>Revoked ({gone.length})</summary>
          <ul class="plain-list">
            {gone.map((agent) => (
              <li key={agent.client_id}>
                <strong>{agent.name}</strong> <span class="quiet">revoked <Ago time={agent.revoked_at ?? ''} />{agent.documents && `, its documents ${agent.documents}`}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Name({ agent }: { readonly agent: Agent }): JSX.Element {
  return (
    <>
      <strong>{agent.name}</strong>
      <div class="quiet small">{agent.auth}</div>
      <code class="id">{agent.client_id}</code>
    </>
  );
}

function May({ agent: { delegation } }: { readonly agent: Agent }): JSX.Element {
  if (!delegation) return <span class="quiet">nothing</span>;
  const over = new Date(delegation.expires_at).getTime() <= Date.now();
  return (
    <>
      <ul class="chips">
        {delegation.permissions.map((permission) => <li key={permission} class="chip">{permission}</li>)}
        {delegation.permissions.length === 0 && <li class="quiet">nothing</li>}
      </ul>
      <Reach delegation={delegation} />
      <div class={over ? 'warn small' : 'quiet small'}>{over ? 'ended' : 'until'} {day(delegation.expires_at)}</div>
    </>
  );
}

/** Which labels an agent may write, and which it may read for people. */
export function Reach({ delegation }: { readonly delegation: NonNullable<Agent['delegation']> }): JSX.Element {
  const { ceiling, read } = delegation;
  return (
    <>
      {ceiling && <div class="small">writes {bounds(ceiling)}</div>}
      {read && <div class="small">reads for people {bounds(read)}</div>}
    </>
  );
}

function Actions({ agent, ask }: { readonly agent: Agent; readonly ask: (asked: Asked) => void }): JSX.Element {
  const button = (act: 'delegate' | 'withdraw' | 'revoke', words: string, danger = false) => (
    <button
      type="button"
      class={danger ? 'button small bad' : 'button small'}
      aria-label={`${words} ${agent.name}`}
      onClick={() => ask({ act, agent })}
    >
      {words}
    </button>
  );
  return (
    <div class="deeds">
      {button('delegate', 'Delegate')}
      {agent.delegation && button('withdraw', 'Take back')}
      {button('revoke', 'Revoke', true)}
    </div>
  );
}

interface Deed {
  readonly close: () => void;
  readonly finish: (what: string) => void;
}

function Create({ close, finish }: Deed): JSX.Element {
  const [auth, setAuth] = useState('private-key-jwt');
  const sending = useSending(async (fields) => {
    const name = text(fields, 'name');
    const key = text(fields, 'public_key');
    await call('post', '/api/admin/agents', { body: { name, auth, ...(key === '' ? {} : { public_key: key }) } });
    finish(`${name} is registered. It may do nothing until you delegate to it.`);
  });
  return (
    <Dialog title="New agent" close={close}>
      <form onSubmit={sending.submit}>
        <Field name="Name" hint="Small letters, digits and hyphens. A name is given once and never again.">
          {(id, hint) => <input id={id} aria-describedby={hint} name="name" required pattern="[a-z0-9][a-z0-9\-]{0,62}" autocomplete="off" spellcheck={false} />}
        </Field>
        <Field name="It proves itself by" hint={auth === 'client-id' ? 'Weak: whoever knows the id is the agent. For the AuthSec clients, which can do no more.' : undefined}>
          {(id, hint) => (
            <select id={id} aria-describedby={hint} value={auth} onChange={(event) => setAuth(event.currentTarget.value)}>
              <option value="private-key-jwt">a private key (private_key_jwt)</option>
              <option value="jwt-svid">a SPIFFE JWT-SVID</option>
              <option value="client-id">its client id alone</option>
            </select>
          )}
        </Field>
        {auth !== 'client-id' && (
          <Field name={auth === 'jwt-svid' ? 'Trust bundle' : 'Public key'} hint={auth === 'jwt-svid' ? 'A JWK Set.' : 'PEM, a JWK or a JWK Set. Never the private half.'}>
            {(id, hint) => <textarea id={id} aria-describedby={hint} name="public_key" required rows={5} spellcheck={false} class="code" />}
          </Field>
        )}
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act="Register" busy={sending.busy} close={close} />
      </form>
    </Dialog>
  );
}

function Withdraw({ agent, close, finish }: Deed & { readonly agent: Agent }): JSX.Element {
  const sending = useSending(async () => {
    await call('delete', '/api/admin/delegations/{name}', { path: { name: agent.name } });
    finish(`What was delegated to ${agent.name} is taken back.`);
  });
  return (
    <Dialog title={`Take back from ${agent.name}?`} close={close}>
      <form onSubmit={sending.submit}>
        <p>Its tokens are refused from the next request on. You can delegate to it again.</p>
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act={`Take back from ${agent.name}`} busy={sending.busy} danger close={close} />
      </form>
    </Dialog>
  );
}

function Revoke({ agent, close, finish }: Deed & { readonly agent: Agent }): JSX.Element {
  const sending = useSending(async () => {
    await call('post', '/api/admin/agents/{name}/revoke', { path: { name: agent.name } });
    finish(`${agent.name} is revoked.`);
  });
  return (
    <Dialog title={`Revoke ${agent.name} for good?`} close={close}>
      <form onSubmit={sending.submit}>
        <p>
          Its tokens are refused from the next request on, and <strong>{agent.name}</strong> never comes back, not even
          by name. What it brought stays.
        </p>
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act={`Revoke ${agent.name}`} busy={sending.busy} danger close={close} />
      </form>
    </Dialog>
  );
}
