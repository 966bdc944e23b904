// The policy in force, a bench to try it on, and what another in its place would do.

import type { JSX } from 'preact';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { Bench } from './bench';
import { Change } from './change';
import { useLoaded } from './loaded';
import { Await, Table, type Column } from './parts';
import { written } from './policy-text';

/** The policy and what it is about. */
export type InForce = components['schemas']['InForce'];
type Rule = components['schemas']['RuleConfig'];
type Group = components['schemas']['GroupConfig'];
type Member = components['schemas']['MemberConfig'];
type Attribute = InForce['attributes'][number];

const load = (signal: AbortSignal) => call('get', '/api/admin/policy', { signal });

/** Rules, attributes, bench, change. */
export function PolicyView(): JSX.Element {
  return (
    <Await from={useLoaded(load)}>
      {(policy) => (
        <>
          <section class="panel" aria-label="Rules">
            <div class="bar">
              <h2>Rules</h2>
              <p class="quiet small">revision <code>{policy.revision}</code></p>
            </div>
            <Decides policy={policy} />
          </section>
          <section class="panel" aria-label="Attributes">
            <h2>Attributes</h2>
            <Table caption="Attributes" columns={COLUMNS} rows={policy.attributes} rowKey={(attribute) => attribute.name} />
          </section>
          <Bench policy={policy} />
          <Change policy={policy} />
        </>
      )}
    </Await>
  );
}

const ENGINES: Readonly<Record<string, string>> = { rego: 'Rego', opa: 'a server of OPA', authzen: 'a server of AuthZEN' };

/** Who decides: the rules, an engine, or both. */
function Decides({ policy: { policy, refused } }: { readonly policy: InForce }): JSX.Element {
  const { engine, rule, any, all } = policy;
  const rules = [rule, any, all].some((some) => some && some.length > 0);
  return (
    <>
      {refused && (
        <div class="notice failed" role="alert">
          <p>The policy's files cannot be used as they are now, so those before them decide: {refused}</p>
        </div>
      )}
      {engine === 'rules' || engine === undefined ? (
        <p class="quiet">A document may be read when all of these hold.</p>
      ) : (
        <p class="quiet">A document may be read when {ENGINES[engine] ?? engine} allows it{rules && ', and all of these hold'}.</p>
      )}
      {(rules || engine === 'rules') && <Members group={policy} />}
      {engine !== 'rules' && <pre class="code" tabIndex={0} aria-label="The engine's configuration">{written({ ...policy, rule: [], any: [], all: [] })}</pre>}
    </>
  );
}

const COLUMNS: Column<Attribute>[] = [
  { name: 'Name', kind: 'main', cell: ({ name }) => <strong>{name}</strong> },
  { name: 'Type', cell: ({ type, multiple }) => (multiple ? `list of ${type}` : type) },
  { name: 'Levels, low to high', cell: ({ levels }) => (levels.length > 0 ? levels.join(' < ') : <span class="quiet">–</span>) },
  { name: 'A document may lack it', cell: ({ optional }) => (optional ? 'yes' : 'no') },
];

function Members({ group }: { readonly group: Pick<Group, 'rule' | 'any' | 'all'> }): JSX.Element {
  const { rule = [], any = [], all = [] } = group;
  if (rule.length + any.length + all.length === 0) {
    return <p class="empty">There is no rule, so nobody may read anything.</p>;
  }
  return (
    <ul class="rules">
      {rule.map((one, n) => <li key={n}><RuleWords rule={one} /></li>)}
      <Groups members={any} words="at least one of" />
      <Groups members={all} words="every one of" />
    </ul>
  );
}

/** Rules that stand directly under `any` or `all` make one group; groups stand for themselves. */
function Groups({ members, words }: { readonly members: readonly Member[]; readonly words: string }): JSX.Element {
  const bare = members.filter((member): member is Rule => 'attribute' in member);
  const groups = members.filter((member): member is Group => !('attribute' in member));
  return (
    <>
      {bare.length > 0 && <li>{words}<Members group={{ rule: bare }} /></li>}
      {groups.map((group, n) => <li key={n}>{group.not === true ? 'not ' : ''}{words}<Members group={group} /></li>)}
    </>
  );
}

function RuleWords({ rule }: { readonly rule: Rule }): JSX.Element {
  return (
    <>
      {rule.not === true && <em>not </em>}
      <strong>{rule.attribute}</strong> <code>{rule.op}</code> {rule.claim && <>claim <strong>{rule.claim}</strong></>}
      {rule.absent === 'allow' && <span class="quiet">, or the document lacks it</span>}
    </>
  );
}
