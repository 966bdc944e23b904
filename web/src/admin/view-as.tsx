// What a person with given claims could read, and why, or why not, a document.

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { claimsOf, writtenOf, type Written } from './claims';
import { ClaimFields } from './claims-form';
import { Explained } from './explanation';
import { text, useSending } from './form';
import { LabelTable } from './labels';
import { useLoaded } from './loaded';
import { Await, Field, Trouble } from './parts';
import { count } from './words';

type View = components['schemas']['View'];

const load = async (signal: AbortSignal) => {
  const [policy, me] = await Promise.all([call('get', '/api/admin/policy', { signal }), call('get', '/api/me', { signal })]);
  return { names: policy.claims, mine: writtenOf(policy.claims, me.claims) };
};

/** The form, filled in with the administrator's own claims, and the view of them. */
export function ViewAs(): JSX.Element {
  return <Await from={useLoaded(load)}>{({ names, mine }) => <Supposed names={names} mine={mine} />}</Await>;
}

function Supposed({ names, mine }: { readonly names: readonly string[]; readonly mine: Written }): JSX.Element {
  const [written, write] = useState(mine);
  const [view, setView] = useState<{ seen: View; document: string } | null>(null);
  const sending = useSending(async (fields) => {
    const document = text(fields, 'document');
    const body = { claims: claimsOf(written), ...(document === '' ? {} : { document_id: document }) };
    setView({ seen: await call('post', '/api/admin/view-as', { body }), document });
  });
  return (
    <div class="two-sides">
      <form class="panel" onSubmit={sending.submit}>
        <ClaimFields names={names} written={written} write={write} />
        <Field name="A document's id" hint="If you want to know why, or why not, this one.">
          {(id, hint) => <input id={id} aria-describedby={hint} name="document" autocomplete="off" spellcheck={false} />}
        </Field>
        {sending.problem && <Trouble problem={sending.problem} />}
        <div class="buttons">
          <button type="submit" class="button strong" disabled={sending.busy}>View</button>
        </div>
      </form>
      <div class="outcome" aria-live="polite">
        {view ? <Seen {...view} /> : <p class="empty">Write somebody's claims, and see what they would open.</p>}
      </div>
    </div>
  );
}

function Seen({ seen, document }: { readonly seen: View; readonly document: string }): JSX.Element {
  return (
    <>
      {seen.explanation && (
        <section class="panel" aria-label="The document">
          <h2 class="words">{document}</h2>
          <Explained explanation={seen.explanation} />
        </section>
      )}
      <h2>What these claims open</h2>
      <p class="summary">
        {count(seen.documents, 'document')} in {count(seen.chunks, 'chunk')} under {count(seen.labels.length, 'label')}
      </p>
      <LabelTable labels={seen.labels} empty="These claims open nothing." />
    </>
  );
}
