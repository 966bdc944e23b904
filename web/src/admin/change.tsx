// Another policy in place of today's: who would gain and lose what. Nothing here puts it in force.

import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { claimsOf, type Written } from './claims';
import { ClaimFields, Said } from './claims-form';
import { useSending } from './form';
import { LabelTable } from './labels';
import { Field, LongList, Trouble } from './parts';
import type { InForce } from './policy';
import { found, Mistake, read, written, type Place } from './policy-text';
import { count, number } from './words';

type Difference = components['schemas']['Difference'];
type ClassChange = components['schemas']['ClassChange'];
type Reach = components['schemas']['Reach'];

/** The text of the policy, to be changed, and what the change would do. */
export function Change({ policy }: { readonly policy: InForce }): JSX.Element {
  const ours = policy.policy.engine === 'rules';
  return (
    <section class="panel" aria-label="Try a change">
      <h2>Try a change</h2>
      {ours ? (
        <Compare policy={policy} />
      ) : (
        <p class="quiet">Only rules can be compared here. For other engines there is <code>bailiwick policy diff</code> on the command line.</p>
      )}
    </section>
  );
}

function Compare({ policy }: { readonly policy: InForce }): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, write] = useState(() => written(policy.policy));
  const [somebody, writeSomebody] = useState<Written>({});
  const [mistake, setMistake] = useState<Mistake | null>(null);
  const [difference, setDifference] = useState<Difference | null>(null);
  const sending = useSending(async () => {
    const claims = claimsOf(somebody);
    try {
      const body = { policy: read(text), claims: Object.keys(claims).length > 0 ? [claims] : [] };
      setDifference(await call('post', '/api/admin/policy/diff', { body }));
      setMistake(null);
    } catch (error) {
      setDifference(null);
      const wrong = found(error, text);
      if (!(wrong instanceof Mistake)) throw error;
      setMistake(wrong);
      if (field.current) select(field.current, wrong.place);
    }
  });
  const change = (to: string) => {
    write(to);
    setMistake(null);
  };
  return (
    <form onSubmit={sending.submit}>
      <Field name="The changed policy" hint="Change it, or paste your changed configuration: only its [policy] is sent. Nothing is put in force." problem={mistake && told(mistake)}>
        {(id, about) => (
          <textarea
            ref={field}
            id={id}
            aria-describedby={about}
            aria-invalid={mistake !== null}
            class="code"
            rows={14}
            wrap="off"
            required
            spellcheck={false}
            autocomplete="off"
            value={text}
            onInput={(event) => change(event.currentTarget.value)}
          />
        )}
      </Field>
      <details class="more">
        <summary>Compare for one person more</summary>
        <p class="hint">It is compared for everybody who has asked so far. Write the claims of somebody who has not.</p>
        <ClaimFields names={policy.claims} written={somebody} write={writeSomebody} />
      </details>
      <div class="buttons">
        <button type="button" class="button" onClick={() => change(written(policy.policy))}>Undo all</button>
        <button type="submit" class="button strong" disabled={sending.busy}>Compare</button>
      </div>
      <div aria-live="polite">
        {sending.problem && <Trouble problem={sending.problem} />}
        {!sending.problem && difference && <Outcome difference={difference} />}
      </div>
    </form>
  );
}

function told({ message, place }: Mistake): string {
  return place ? `Line ${place.line}, column ${place.column}: ${message}` : message;
}

/** Selects the line in question from the place on, which also brings it into view. */
function select(field: HTMLTextAreaElement, place: Place | null): void {
  field.focus();
  if (!place) return;
  const before = field.value.split('\n').slice(0, place.line - 1);
  const start = before.reduce((sum, line) => sum + line.length + 1, 0);
  const end = field.value.indexOf('\n', start);
  field.setSelectionRange(start + place.column - 1, end < 0 ? field.value.length : end);
}

function Outcome({ difference }: { readonly difference: Difference }): JSX.Element {
  const { before, after, classes, labels, changed } = difference;
  const sets = `${number(classes)} known ${classes === 1 ? 'set' : 'sets'} of claims`;
  if (changed.length === 0) {
    return (
      <>
        <p class="verdict allowed">Nobody gains or loses anything</p>
        <p class="quiet">{before === after && 'This is the policy that is in force. '}Compared for {sets}, over {count(labels, 'label')}.</p>
      </>
    );
  }
  const most = changed.toSorted((a, b) => moved(b) - moved(a));
  return (
    <>
      <h3>Something changes for {number(changed.length)} of {sets}</h3>
      <p class="quiet">Each set stands for all people whose tokens say the same. Compared over {count(labels, 'label')}.</p>
      <LongList label="What changes" items={most} entry={(change) => <Changed key={change.class} change={change} />} />
    </>
  );
}

function moved({ gained, lost }: ClassChange): number {
  return gained.documents + lost.documents;
}

function Changed({ change: { claims, unsaid = [], gained, lost } }: { readonly change: ClassChange }): JSX.Element {
  return (
    <li>
      <Said claims={claims} />
      <Moved word="Gains" sign="+" reach={gained} />
      <Moved word="Loses" sign="−" reach={lost} />
      {unsaid.length > 0 && (
        <p class="small warn">
          Not known yet: what their tokens say of <strong>{unsaid.join(', ')}</strong>. With it they may gain more, or lose less.
        </p>
      )}
    </li>
  );
}

function Moved({ word, sign, reach }: { readonly word: string; readonly sign: string; readonly reach: Reach }): JSX.Element {
  const { labels, documents, listed } = reach;
  if (labels === 0) return <p class="quiet">{word} nothing.</p>;
  const more = labels - listed.length;
  return (
    <details class="moved" data-word={word}>
      <summary>
        <span aria-hidden="true">{sign}</span> {word} <strong>{count(documents, 'document')}</strong> under {count(labels, 'label')}
      </summary>
      <LabelTable caption={`${word}: labels`} labels={listed} empty="" />
      {more > 0 && <p class="quiet small">And {count(more, 'label')} more, with fewer documents each.</p>}
    </details>
  );
}
