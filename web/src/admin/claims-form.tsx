// Claims: the fields in which an administrator writes them, and the list in which she reads them.

import type { JSX } from 'preact';

import { listed, type Claims, type Written } from './claims';
import { Field } from './parts';

/** One field for each claim that the policy reads. */
export function ClaimFields(given: {
  readonly names: readonly string[];
  readonly written: Written;
  readonly write: (written: Written) => void;
}): JSX.Element {
  return (
    <fieldset class="fields">
      <legend>The person's claims</legend>
      {given.names.map((name) => (
        <Field key={name} name={name}>
          {(id) => (
            <input
              id={id}
              value={given.written[name] ?? ''}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => given.write({ ...given.written, [name]: event.currentTarget.value })}
            />
          )}
        </Field>
      ))}
      <p class="hint">Several values with commas between them. An empty field means that the token lacks the claim.</p>
    </fieldset>
  );
}

/** What a token says, one claim after the other. */
export function Said({ claims }: { readonly claims: Claims }): JSX.Element {
  const all = listed(claims);
  if (all.length === 0) return <p class="said quiet">Tokens that say nothing the policy reads</p>;
  return (
    <dl class="said">
      {all.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === '' ? '–' : value}</dd>
        </div>
      ))}
    </dl>
  );
}
