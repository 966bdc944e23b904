// The parts that the administrator's views are made of.

import type { ComponentChildren, JSX } from 'preact';
import { useId, useState } from 'preact/hooks';

import type { Problem } from '../api/problem';
import { Modal } from '../ui/modal';
import type { Loaded } from './loaded';
import { ago, moment, number } from './words';

/** A column: its heading, and what it shows of a row. */
export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly kind?: 'main' | 'name' | 'wide' | 'number' | 'actions';
}

/**
 * A table that becomes a list of cards where there is no room for it.
 *
 * The roles are written out because a browser forgets them when rows are no longer laid out as rows.
 */
export function Table<Row>(given: {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string | number;
  /** Whether cells are short, so that a card has several of them on a line. */
  readonly short?: boolean;
}): JSX.Element {
  const { caption, columns, rows, rowKey, short = false } = given;
  return (
    <table class={short ? 'table short' : 'table'} role="table">
      <caption class="hidden-visually">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.name} role="columnheader" scope="col" data-kind={column.kind}>
              <span class={column.kind === 'actions' ? 'hidden-visually' : undefined}>{column.name}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={rowKey(row)} role="row">
            {columns.map((column) => (
              <td key={column.name} role="cell" data-kind={column.kind}>
                <span class="cell-name" aria-hidden="true">{column.name}</span>
                <div class="cell">{column.cell(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How many entries of a list are shown before one asks for all. */
const SHOWN = 20;

/** A list that may be long: its first entries, and a way to all of them. */
export function LongList<Item>(given: {
  readonly label: string;
  readonly items: readonly Item[];
  readonly entry: (item: Item) => JSX.Element;
}): JSX.Element {
  const { label, items, entry } = given;
  const [all, showAll] = useState(false);
  return (
    <>
      <ul class="changes" aria-label={label}>{(all ? items : items.slice(0, SHOWN)).map(entry)}</ul>
      {!all && items.length > SHOWN && <button type="button" class="button older" onClick={() => showAll(true)}>Show all {number(items.length)}</button>}
    </>
  );
}

/** A field with its name above it, and below it a hint and what is wrong with what is written there. */
export function Field(given: {
  readonly name: string;
  readonly hint?: string | undefined;
  readonly problem?: string | null;
  /** Gets the field's id, and the ids of what describes it. */
  readonly children: (id: string, about: string | undefined) => JSX.Element;
}): JSX.Element {
  const { name, hint, problem = null } = given;
  const id = useId();
  const about = [problem !== null && `${id}-problem`, hint !== undefined && `${id}-hint`].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{name}</label>
      {given.children(id, about === '' ? undefined : about)}
      {problem !== null && <p class="bad" id={`${id}-problem`} role="alert">{problem}</p>}
      {hint !== undefined && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

/** A point in time: how long ago for the eye, the exact time for who wants to know. */
export function Ago({ time }: { readonly time: string }): JSX.Element {
  return <time dateTime={time} title={moment(time)}>{ago(time)}</time>;
}

/** What went wrong, and a way on. */
export function Trouble({ problem, again }: { readonly problem: Problem; readonly again?: (() => void) | undefined }): JSX.Element {
  return (
    <div class="notice failed" role="alert">
      <p>{problem.message}</p>
      {again && <button type="button" class="button" onClick={again}>Try again</button>}
    </div>
  );
}

/** Shows what was loaded; until then that it is coming, or why it is not. */
export function Await<T>({ from, children }: { readonly from: Loaded<T>; readonly children: (value: T) => JSX.Element }): JSX.Element {
  return (
    <div aria-busy={from.waiting}>
      {from.problem && <Trouble problem={from.problem} again={from.again} />}
      {from.value !== null && children(from.value)}
      {from.value === null && !from.problem && <p class="waiting" role="status">Loading…</p>}
    </div>
  );
}

/** A dialog with a title. */
export function Dialog(given: {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const title = useId();
  return (
    <Modal class="dialog" aria-labelledby={title} leave={given.close}>
      <h2 id={title}>{given.title}</h2>
      {given.children}
    </Modal>
  );
}

/** The end of a dialog: do it, or leave it. */
export function Buttons(given: {
  readonly act: string;
  readonly busy: boolean;
  readonly danger?: boolean;
  readonly close: () => void;
}): JSX.Element {
  return (
    <div class="buttons">
      <button type="button" class="button" onClick={given.close}>Cancel</button>
      <button type="submit" class={given.danger === true ? 'button danger' : 'button strong'} disabled={given.busy}>
        {given.busy ? 'One moment…' : given.act}
      </button>
    </div>
  );
}
