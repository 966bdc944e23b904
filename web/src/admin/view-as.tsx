// What a person with given claims could read, and why, or why not, a document.

import type { JSX } from 'preact';
import { useCallback, useMemo } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { about, go } from '../router';
import { claimsOf, writtenOf, type Claims, type Written } from './claims';
import { ClaimFields } from './claims-form';
import { Explained } from './explanation';
import { useAnew } from './form';
import { LabelTable } from './labels';
import { claimsIn, described, naming, subjectOf, viewAs, whoReads, type Subject } from './links';
import { useLoaded } from './loaded';
import { Await, Field } from './parts';
import { count, inWords } from './words';

type View = components['schemas']['View'];

const load = async (signal: AbortSignal) => {
  const [policy, me] = await Promise.all([call('get', '/api/admin/policy', { signal }), call('get', '/api/me', { signal })]);
  return { names: policy.claims, mine: me.claims };
};

/** The form, filled in with the claims that the address names or the administrator's own, and the view of them. */
export function ViewAs(): JSX.Element {
  const address = about.value;
  const { claims, subject } = useMemo(() => ({ claims: claimsIn(address), subject: subjectOf(address) }), [address]);
  return (
    <Await from={useLoaded(load)}>
      {({ names, mine }) => (
        <div class="two-sides aside">
          <Supposed names={names} claims={claims ?? mine} subject={subject} />
          <div class="outcome" aria-live="polite">
            {claims ? <Viewed claims={claims} subject={subject} /> : <p class="empty">Write somebody's claims, and see what they would open.</p>}
          </div>
        </div>
      )}
    </Await>
  );
}

function Supposed(given: { readonly names: readonly string[]; readonly claims: Claims; readonly subject: Subject }): JSX.Element {
  const { names, claims, subject } = given;
  const [written, write] = useAnew(claims, (claims): Written => writtenOf(names, claims));
  const [document, name] = useAnew(subject, (subject) => subject.document ?? '');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const { label } = subject;
    const named = document.trim();
    go(viewAs(claimsOf(written), named !== '' ? { document: named } : label ? { label } : {}));
  };
  const hint = subject.label ? `Or leave it empty, for documents with ${inWords(subject.label)}.` : 'If you want to know why, or why not, this one.';
  return (
    <form class="panel" onSubmit={submit}>
      <ClaimFields names={names} written={written} write={write} />
      <Field name="A document's id" hint={hint}>
        {(id, about) => <input id={id} aria-describedby={about} value={document} autocomplete="off" spellcheck={false} onInput={(event) => name(event.currentTarget.value)} />}
      </Field>
      <div class="buttons">
        <button type="submit" class="button strong">View</button>
      </div>
    </form>
  );
}

function Viewed({ claims, subject }: { readonly claims: Claims; readonly subject: Subject }): JSX.Element {
  const look = useCallback(
    (signal: AbortSignal) => naming(subject, call('post', '/api/admin/view-as', { body: { claims, ...described(subject) }, signal })),
    [claims, subject],
  );
  return <Await from={useLoaded(look)}>{(seen) => <Seen seen={seen} subject={subject} />}</Await>;
}

function Seen({ seen, subject }: { readonly seen: View; readonly subject: Subject }): JSX.Element {
  const { explanation, sample, labels, documents, chunks } = seen;
  return (
    <>
      {explanation && (
        <section class="panel" aria-label="The document">
          <h2 class="words">{subject.document ?? inWords(subject.label ?? {})}</h2>
          <Explained explanation={explanation} />
          <p class="ways"><a class="link" href={whoReads(subject)}>Who can read this?</a></p>
        </section>
      )}
      <h2>What these claims open</h2>
      <p class="summary">
        {count(documents, 'document')} in {count(chunks, 'chunk')} under {count(labels.length, 'label')}
      </p>
      <LabelTable labels={labels} empty="These claims open nothing." />
      {sample.length > 0 && (
        <details class="more">
          <summary>{sample.length < documents ? 'Some of the documents' : 'The documents'}</summary>
          <ul class="plain-list">
            {sample.map((id) => <li key={id}><a class="link" href={whoReads({ document: id })} aria-label={`Who can read ${id}?`}>{id}</a></li>)}
          </ul>
        </details>
      )}
    </>
  );
}
