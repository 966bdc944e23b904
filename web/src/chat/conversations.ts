// The conversations of the person who is signed in, and what happens in them.

import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';

import { fromAnswer, Problem, problem } from '../api/problem';
import { ask as tellWorker } from '../session/link';
import type { Answered } from '../session/protocol';
import { session } from '../session/session';
import { ask, isSources, type Answer, type Sources } from './answer';
import { announce } from './announce';

/** How far an answer is. */
export type Progress = 'asking' | 'answering' | 'done' | 'stopped' | 'queued' | 'failed';

/** A question and its answer. Replaced as a whole whenever something changes. */
export interface Turn {
  readonly id: string;
  readonly question: string;
  readonly progress: Progress;
  readonly text: string;
  readonly sources: Sources | null;
  /** Why there is no answer, or no whole one. */
  readonly problem: Problem | null;
}

/** Questions that were asked after each other. */
export interface Conversation {
  readonly id: string;
  /** When it began, in Unix milliseconds. */
  readonly began: number;
  readonly turns: Signal<readonly Signal<Turn>[]>;
  /** The first question. */
  readonly title: ReadonlySignal<string>;
}

/** Newest first. */
export const conversations = signal<readonly Conversation[]>([]);

const underWay = new Map<string, AbortController>();

/** The conversation with this id. */
export function find(id: string): Conversation | undefined {
  return conversations.value.find((one) => one.id === id);
}

/** A conversation with these turns, not yet in the list. */
export function conversation(id: string, began: number, turns: readonly Turn[]): Conversation {
  const held = signal<readonly Signal<Turn>[]>(turns.map((turn) => signal(turn)));
  return { id, began, turns: held, title: computed(() => held.value[0]?.value.question ?? '') };
}

/** Begins a conversation with a question. */
export function begin(question: string): Conversation {
  const begun = conversation(crypto.randomUUID(), Date.now(), []);
  add(begun, question);
  conversations.value = [begun, ...conversations.value];
  return begun;
}

/** Asks a question in a conversation. */
export function add(into: Conversation, question: string): void {
  const turn = signal(asking(crypto.randomUUID(), question));
  into.turns.value = [...into.turns.value, turn];
  void run(turn);
}

/** Asks again, as if for the first time. */
export function again(turn: Signal<Turn>): void {
  stop(turn);
  turn.value = asking(turn.peek().id, turn.peek().question);
  void run(turn);
}

/** Asks something else in this place; what came after it is gone, because it followed from it. */
export function edit(of: Conversation, turn: Signal<Turn>, question: string): void {
  const place = of.turns.peek().indexOf(turn);
  if (place < 0) return;
  for (const later of of.turns.peek().slice(place)) stop(later);
  of.turns.value = of.turns.peek().slice(0, place);
  add(of, question);
}

/** Ends an answer, and what arrived stays; withdraws a question that waits. */
export function stop(turn: Signal<Turn>): void {
  const { id, progress } = turn.peek();
  underWay.get(id)?.abort();
  if (progress !== 'queued') return;
  turn.value = { ...turn.peek(), progress: 'stopped' };
  void tellWorker('QUEUE_DROP', { key: id });
}

/** Removes a conversation. */
export function remove(one: Conversation): void {
  for (const turn of one.turns.peek()) stop(turn);
  conversations.value = conversations.peek().filter((other) => other !== one);
}

/** Removes them all, as when the person signs out. */
export function removeAll(): void {
  for (const controller of underWay.values()) controller.abort();
  conversations.value = [];
}

/** Takes what became of a question that waited; tells whether it is shown here. */
export function receive({ key, question, status, body }: Answered, adopt: boolean): boolean {
  const turn = adopt ? waiting(key, question) : turnOf(key);
  if (!turn) return false;
  // It was answered meanwhile, or is being asked again.
  if (turn.peek().progress !== 'queued') return true;
  if (status === 200 && isSources(body) && typeof (body as Answer).response === 'string') {
    const { response, ...sources } = body as Answer;
    turn.value = { ...turn.peek(), progress: 'done', text: response, sources };
    announce(response);
  } else {
    const failure = status === 200 ? problem('malformed') : fromAnswer(status, body);
    turn.value = { ...turn.peek(), progress: 'failed', problem: failure };
    announce(failure.message);
  }
  return true;
}

/** The turn of a question that waits; a new conversation if its page was loaded anew since. */
export function waiting(key: string, question: string): Signal<Turn> {
  const known = turnOf(key);
  if (known) return known;
  const turn = signal<Turn>({ ...asking(key, question), progress: 'queued' });
  const begun = conversation(crypto.randomUUID(), Date.now(), []);
  begun.turns.value = [turn];
  conversations.value = [begun, ...conversations.peek()];
  return turn;
}

/** Every turn, of all conversations. */
export function allTurns(): readonly Signal<Turn>[] {
  return conversations.peek().flatMap((one) => one.turns.peek());
}

function turnOf(key: string): Signal<Turn> | undefined {
  return allTurns().find((turn) => turn.peek().id === key);
}

function asking(id: string, question: string): Turn {
  return { id, question, progress: 'asking', text: '', sources: null, problem: null };
}

async function run(turn: Signal<Turn>): Promise<void> {
  const now = session.peek();
  const { id, question } = turn.peek();
  if (now.state !== 'signed-in') return;
  const controller = new AbortController();
  underWay.set(id, controller);
  // Asked again meanwhile: what still comes of this try is not shown.
  const change = (to: Partial<Turn>) => {
    if (underWay.get(id) === controller) turn.value = { ...turn.peek(), ...to };
  };
  try {
    for await (const piece of ask({ question, key: id, sub: now.person.sub, signal: controller.signal })) {
      if (piece.kind === 'queued') change({ progress: 'queued' });
      else if (piece.kind === 'sources') change({ progress: 'answering', sources: piece.sources });
      else {
        change({ progress: 'answering', text: turn.peek().text + piece.text });
        announce.growing(id, turn.peek().text);
      }
    }
    if (turn.peek().progress !== 'queued') change({ progress: 'done' });
    announce.finished(id, turn.peek().text);
  } catch (error) {
    if (controller.signal.aborted) change({ progress: 'stopped' });
    else {
      const failure = error instanceof Problem ? error : problem('malformed');
      change({ progress: 'failed', problem: failure });
      announce(failure.message);
    }
  } finally {
    if (underWay.get(id) === controller) underWay.delete(id);
  }
}
