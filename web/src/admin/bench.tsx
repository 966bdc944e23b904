// A bench: claims on one side, a document's attributes on the other, and what the policy makes of them.

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { claimsOf, type Written } from './claims';
import { ClaimFields } from './claims-form';
import { Explained } from './explanation';
import { useSending } from './form';
import { Field, Trouble } from './parts';
import type { InForce } from './policy';

type Explanation = components['schemas']['Explanation'];
type Attribute = InForce['attributes'][number];

/** The bench. Nothing that is written in it is stored. */
export function Bench({ policy }: { readonly policy: InForce }): JSX.Element {
  const [claims, writeClaims] = useState<Written>({});
  const [document, writeDocument] = useState<Written>({});
  const [explanation, setExplanation] = useState<Explanation | null>(null);
  const sending = useSending(async () => {
    const body = { claims: claimsOf(claims), document: claimsOf(document) };
    const view = await call('post', '/api/admin/view-as', { body });
    setExplanation(view.explanation ?? null);
  });
  return (
    <section class="panel" aria-label="Test bench">
      <h2>Test bench</h2>
      <form onSubmit={sending.submit}>
        <div class="two-sides">
          <ClaimFields names={policy.claims} written={claims} write={writeClaims} />
          <fieldset class="fields">
            <legend>The document's attributes</legend>
            {policy.attributes.map((attribute) => (
              <AttributeField
                key={attribute.name}
                attribute={attribute}
                value={document[attribute.name] ?? ''}
                write={(value) => writeDocument({ ...document, [attribute.name]: value })}
              />
            ))}
          </fieldset>
        </div>
        <div class="buttons">
          <button type="submit" class="button strong" disabled={sending.busy}>Decide</button>
        </div>
      </form>
      <div aria-live="polite">
        {sending.problem && <Trouble problem={sending.problem} />}
        {!sending.problem && explanation && <Explained explanation={explanation} />}
      </div>
    </section>
  );
}

function AttributeField(given: {
  readonly attribute: Attribute;
  readonly value: string;
  readonly write: (value: string) => void;
}): JSX.Element {
  const { attribute, value, write } = given;
  const name = attribute.optional ? `${attribute.name} (optional)` : attribute.name;
  if (attribute.levels.length > 0 && !attribute.multiple) {
    return (
      <Field name={name}>
        {(id) => (
          <select id={id} value={value} required={!attribute.optional} onChange={(event) => write(event.currentTarget.value)}>
            <option value="">–</option>
            {attribute.levels.map((level) => <option key={level} value={level}>{level}</option>)}
          </select>
        )}
      </Field>
    );
  }
  return (
    <Field name={name}>
      {(id) => <input id={id} value={value} required={!attribute.optional} autocomplete="off" spellcheck={false} onInput={(event) => write(event.currentTarget.value)} />}
    </Field>
  );
}
