// The rows in which an administrator bounds the labels that an agent may write, or read for people.

import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

import { Icon } from '../ui/icon';
import { OPERATORS, operatorsFor, type Bound } from './bounds';
import type { InForce } from './policy';

type Attribute = InForce['attributes'][number];

/** A group of rows, all of which must hold. */
export function BoundsFields(given: {
  readonly name: string;
  /** What it means that there is no row. */
  readonly unbounded: string;
  readonly attributes: readonly Attribute[];
  readonly rows: readonly Bound[];
  readonly write: (rows: readonly Bound[]) => void;
}): JSX.Element {
  const { name, unbounded, attributes, rows, write } = given;
  const group = useRef<HTMLFieldSetElement>(null);
  const before = useRef(rows.length);
  useEffect(() => {
    // The focus goes to the row that came, or to where the next would come from.
    if (rows.length > before.current) group.current?.querySelector<HTMLElement>('.bound:last-of-type select')?.focus();
    if (rows.length < before.current) group.current?.querySelector<HTMLElement>('.add')?.focus();
    before.current = rows.length;
  }, [rows.length]);
  const [first] = attributes;
  const add = () => first && write([...rows, { attribute: first.name, operator: operatorsFor(first)[0] ?? 'all', written: '' }]);
  return (
    <fieldset ref={group} class="fields bounds">
      <legend>{name}</legend>
      {rows.length === 0 && <p class="hint">{unbounded}</p>}
      {rows.map((row, n) => (
        <Row
          key={n}
          row={row}
          attributes={attributes}
          write={(row) => write(rows.map((other, m) => (m === n ? row : other)))}
          remove={() => write(rows.filter((_, m) => m !== n))}
        />
      ))}
      <button type="button" class="button small add" disabled={!first} onClick={add}>Add a bound</button>
    </fieldset>
  );
}

function Row(given: {
  readonly row: Bound;
  readonly attributes: readonly Attribute[];
  readonly write: (row: Bound) => void;
  readonly remove: () => void;
}): JSX.Element {
  const { row, attributes, write, remove } = given;
  const { attribute, operator, written } = row;
  const about = attributes.find(({ name }) => name === attribute);
  // What was written elsewhere may use more than is offered here; it stays.
  const operators = [...new Set([...(about ? operatorsFor(about) : []), operator])];
  const names = [...new Set([...attributes.map(({ name }) => name), attribute])];
  const choose = (name: string) => {
    const chosen = attributes.find((one) => one.name === name);
    write({ attribute: name, operator: (chosen && operatorsFor(chosen)[0]) ?? 'all', written: '' });
  };
  return (
    <div class="bound">
      <select aria-label="Attribute" value={attribute} onChange={(event) => choose(event.currentTarget.value)}>
        {names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
      <select aria-label="How" value={operator} onChange={(event) => write({ ...row, operator: event.currentTarget.value })}>
        {operators.map((one) => <option key={one} value={one}>{OPERATORS[one] ?? one}</option>)}
      </select>
      <Value levels={about?.levels ?? []} operator={operator} written={written} write={(written) => write({ ...row, written })} />
      <button type="button" class="tap" aria-label={`Remove the bound on ${attribute}`} onClick={remove}><Icon name="close" /></button>
    </div>
  );
}

function Value(given: {
  readonly levels: readonly string[];
  readonly operator: string;
  readonly written: string;
  readonly write: (written: string) => void;
}): JSX.Element {
  const { levels, operator, written, write } = given;
  const hint = useId();
  if (operator === 'exists') return <span class="value" />;
  if (levels.length > 0 && (operator === 'lte' || operator === 'gte')) {
    return (
      <select class="value" aria-label="Value" required value={written} onChange={(event) => write(event.currentTarget.value)}>
        <option value="">–</option>
        {levels.map((level) => <option key={level} value={level}>{level}</option>)}
      </select>
    );
  }
  return (
    <>
      <input class="value" aria-label="Value" aria-describedby={hint} placeholder="hr, sales" required value={written} autocomplete="off" spellcheck={false} onInput={(event) => write(event.currentTarget.value)} />
      <span id={hint} class="hidden-visually">Several values with commas between them.</span>
    </>
  );
}
