// "Who can read this?": of the claims that people came with, those that open a document or a label.

import type { JSX } from 'preact';
import { useCallback, useMemo, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { about, go } from '../router';
import { Said } from './claims-form';
import { Explained } from './explanation';
import { useAnew } from './form';
import { described, naming, subjectOf, viewAs, whoReads, type Subject } from './links';
import { useLoaded } from './loaded';
import { Await, Field, LongList } from './parts';
import { number } from './words';

type Readers = components['schemas']['Who'];
type Class = components['schemas']['Class'];

/** The form, and the answer for what the address names. */
export function WhoView(): JSX.Element {
  const address = about.value;
  const subject = useMemo(() => subjectOf(address), [address]);
  const asked = subject.document !== undefined || subject.label !== undefined;
  return (
    <section aria-label="Who can read this?">
      <Form subject={subject} />
      <div aria-live="polite">
        {asked ? <Answered subject={subject} /> : <p class="empty">Name a document here, or choose a label under <a href="/admin/labels">Labels</a>.</p>}
      </div>
    </section>
  );
}

function Form({ subject }: { readonly subject: Subject }): JSX.Element {
  const [document, write] = useAnew(subject, (subject) => subject.document ?? '');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (document.trim() !== '') go(whoReads({ document: document.trim() }));
  };
  return (
    <form class="ask-one" onSubmit={submit}>
      <Field name="A document's id">
        {(id) => <input id={id} required value={document} autocomplete="off" spellcheck={false} onInput={(event) => write(event.currentTarget.value)} />}
      </Field>
      <button type="submit" class="button strong">Ask</button>
    </form>
  );
}

function Answered({ subject }: { readonly subject: Subject }): JSX.Element {
  const load = useCallback((signal: AbortSignal) => naming(subject, call('post', '/api/admin/policy/who', { body: described(subject), signal })), [subject]);
  const readers = useLoaded(load);
  return <Await from={readers}>{(found) => <Found readers={found} subject={subject} />}</Await>;
}

function Found({ readers, subject }: { readonly readers: Readers; readonly subject: Subject }): JSX.Element {
  const { label, known, classes } = readers;
  return (
    <>
      <h2 class="words">{subject.document ?? 'Documents with this label'}</h2>
      {label ? <Said claims={label} /> : <p><span class="chip warn">in quarantine</span></p>}
      <p class={classes.length > 0 ? 'verdict allowed' : 'verdict denied'}>{verdict(classes.length, known)}</p>
      <p class="hint">
        {label ? 'Known are the claims of everybody who has asked, as far back as the audit trail goes. Each set stands for all people whose tokens say the same.' : 'Nobody can read it until it is released or gets a label.'}
        {label && subject.document !== undefined && <> Or <a class="link" href={viewAs(null, subject)}>ask for somebody else</a>.</>}
      </p>
      <LongList label="Who can read this" items={classes} entry={(one) => <Reader key={one.name} reader={one} subject={subject} />} />
    </>
  );
}

function verdict(may: number, known: number): string {
  if (known === 0) return 'Nobody has asked anything yet';
  const sets = `${number(known)} known ${known === 1 ? 'set' : 'sets'} of claims`;
  return may === 0 ? `None of ${sets} can read this` : `${number(may)} of ${sets} can read this`;
}

function Reader({ reader, subject }: { readonly reader: Class; readonly subject: Subject }): JSX.Element {
  return (
    <li>
      <div class="who-head">
        <Said claims={reader.claims} />
        <a class="link" href={viewAs(reader.claims, subject)}>View as</a>
      </div>
      <Why reader={reader} subject={subject} />
    </li>
  );
}

/** Why this document may be read with these claims; asked when it is opened. */
function Why({ reader, subject }: { readonly reader: Class; readonly subject: Subject }): JSX.Element {
  const [opened, open] = useState(false);
  const load = useCallback((signal: AbortSignal) => call('post', '/api/admin/view-as', { body: { claims: reader.claims, ...described(subject) }, signal }), [reader, subject]);
  return (
    <details onToggle={(event) => event.currentTarget.open && open(true)}>
      <summary>Why?</summary>
      {opened && <Reasons load={load} />}
    </details>
  );
}

function Reasons({ load }: { readonly load: (signal: AbortSignal) => Promise<components['schemas']['View']> }): JSX.Element {
  return (
    <Await from={useLoaded(load)}>
      {({ explanation }) => (explanation ? <Explained explanation={explanation} /> : <p class="quiet">The server gave no reasons.</p>)}
    </Await>
  );
}
