// Agents: who brings documents, what is delegated to them, and taking it back.

import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { Confirm, DEEDS, type Act } from './agent-deeds';
import { Create } from './create-agent';
import { Delegate } from './delegate';
import { useLoaded } from './loaded';
import { Ago, Await, Table, type Column } from './parts';
import { bounds, day } from './words';

/** A workload that ingests. */
export type Agent = components['schemas']['Agent'];

type Asked = { readonly act: 'create' } | { readonly act: 'delegate' | Act; readonly agent: Agent };
type Ask = (asked: Asked) => void;

const load = async (signal: AbortSignal) => {
  const [agents, { attributes }] = await Promise.all([call('get', '/api/admin/agents', { signal }), call('get', '/api/admin/policy', { signal })]);
  return { agents, attributes };
};

/** The list of agents, with what one can do to each. */
export function Agents(): JSX.Element {
  const loaded = useLoaded(load);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [done, setDone] = useState('');
  const status = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    // The button that was pressed may be gone with its row, and the focus with it.
    if (done !== '' && document.activeElement === document.body) status.current?.focus();
  }, [done, loaded.value]);
  const close = () => setAsked(null);
  const finish = (what: string) => {
    close();
    setDone(what);
    loaded.again();
  };
  return (
    <section aria-label="Agents">
      <div class="bar">
        <p ref={status} class="done" role="status" tabIndex={-1}>{done}</p>
        <button type="button" class="button strong" onClick={() => setAsked({ act: 'create' })}>New agent</button>
      </div>
      <Await from={loaded}>{({ agents }) => <List agents={agents} ask={setAsked} />}</Await>
      {asked?.act === 'create' && <Create close={close} finish={finish} />}
      {asked?.act === 'delegate' && <Delegate agent={asked.agent} attributes={loaded.value?.attributes ?? []} close={close} finish={finish} />}
      {asked && asked.act !== 'create' && asked.act !== 'delegate' && <Confirm act={asked.act} agent={asked.agent} close={close} finish={finish} />}
    </section>
  );
}

function List({ agents, ask }: { readonly agents: readonly Agent[]; readonly ask: Ask }): JSX.Element {
  if (agents.length === 0) {
    return <p class="empty">No agent is registered yet. Make one, then delegate to it what it needs.</p>;
  }
  const columns: Column<Agent>[] = [
    { name: 'Agent', kind: 'main', cell: (agent) => <Name agent={agent} /> },
    { name: 'May', cell: (agent) => <May agent={agent} /> },
    { name: 'Last used', cell: ({ last_used_at: used }) => (used ? <Ago time={used} /> : <span class="quiet">never</span>) },
    { name: 'Actions', kind: 'actions', cell: (agent) => <Actions agent={agent} ask={ask} /> },
  ];
  const revoked: Column<Agent>[] = [
    { name: 'Agent', kind: 'main', cell: ({ name }) => <strong>{name}</strong> },
    { name: 'Revoked', cell: ({ revoked_at: at }) => <Ago time={at ?? ''} /> },
    { name: 'What it brought', cell: ({ documents }) => (documents ? <span class="chip warn">{STATES[documents] ?? documents}</span> : 'stays') },
    { name: 'Actions', kind: 'actions', cell: (agent) => <Aftermath agent={agent} ask={ask} /> },
  ];
  const living = agents.filter((agent) => !agent.revoked_at);
  const gone = agents.filter((agent) => agent.revoked_at);
  return (
    <>
      <Table caption="Agents" columns={columns} rows={living} rowKey={(agent) => agent.client_id} />
      {gone.length > 0 && (
        <section class="more" aria-label="Revoked agents">
          <h2>Revoked</h2>
          <Table caption="Revoked agents" columns={revoked} rows={gone} rowKey={(agent) => agent.client_id} />
        </section>
      )}
    </>
  );
}

const STATES: Readonly<Record<string, string>> = { quarantined: 'in quarantine', purged: 'removed' };

function Name({ agent }: { readonly agent: Agent }): JSX.Element {
  return (
    <>
      <strong>{agent.name}</strong>
      <div class="quiet small">{agent.auth}</div>
      <code class="id">{agent.client_id}</code>
      <div><a class="link small" href={`/admin/audit#${new URLSearchParams({ agent: agent.name }).toString()}`} aria-label={`Records of ${agent.name}`}>Records</a></div>
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
function Reach({ delegation }: { readonly delegation: NonNullable<Agent['delegation']> }): JSX.Element {
  const { ceiling, read } = delegation;
  return (
    <>
      {ceiling && <div class="small">writes where {bounds(ceiling)}</div>}
      {read && <div class="small">reads for people where {bounds(read)}</div>}
    </>
  );
}

function Actions({ agent, ask }: { readonly agent: Agent; readonly ask: Ask }): JSX.Element {
  return (
    <div class="deeds">
      <button type="button" class="button small" aria-label={`Delegate ${agent.name}`} onClick={() => ask({ act: 'delegate', agent })}>Delegate</button>
      {agent.delegation && <Deed act="withdraw" agent={agent} ask={ask} />}
      <Deed act="revoke" agent={agent} ask={ask} />
    </div>
  );
}

/** What can be done with the documents of an agent that is revoked. */
function Aftermath({ agent, ask }: { readonly agent: Agent; readonly ask: Ask }): JSX.Element | null {
  if (agent.documents === 'purged') return null;
  return (
    <div class="deeds">
      {agent.documents === 'quarantined' ? (
        <>
          <Deed act="release" agent={agent} ask={ask} />
          <Deed act="purge" agent={agent} ask={ask} />
        </>
      ) : (
        <Deed act="quarantine" agent={agent} ask={ask} />
      )}
    </div>
  );
}

function Deed({ act, agent, ask }: { readonly act: Act; readonly agent: Agent; readonly ask: Ask }): JSX.Element {
  const { button, danger, whole } = DEEDS[act];
  return (
    <button type="button" class={danger ? 'button small bad' : 'button small'} aria-label={whole(agent.name)} onClick={() => ask({ act, agent })}>
      {button}
    </button>
  );
}
