// Addresses of questions, so that one view can ask what another answers, and the browser's "back" leads back.

import { Problem } from '../api/problem';
import type { Claims } from './claims';

/** What is asked about: a stored document, or all documents with a label. */
export interface Subject {
  readonly document?: string;
  readonly label?: Readonly<Record<string, unknown>>;
}

/** The address of "who can read this?". */
export function whoReads(subject: Subject): string {
  return `/admin/who#${written({ ...subject })}`;
}

/** The address of what these claims open, and why, or why not, the subject. Without claims they are yet to be written. */
export function viewAs(claims: Claims | null, subject: Subject = {}): string {
  return `/admin/view-as#${written({ ...(claims && { claims }), ...subject })}`;
}

/** What an address asks about. */
export function subjectOf(about: URLSearchParams): Subject {
  const document = about.get('document') ?? '';
  const label = object(about, 'label');
  if (document !== '') return { document };
  return label ? { label } : {};
}

/** The claims that an address supposes. */
export function claimsIn(about: URLSearchParams): Claims | null {
  return object(about, 'claims');
}

/** A subject as the server takes it. */
export function described({ document, label }: Subject): { document_id?: string; document?: Record<string, unknown> } {
  if (document !== undefined) return { document_id: document };
  return label === undefined ? {} : { document: { ...label } };
}

/** An answer about a subject; that the document is not there is said with its id. */
export async function naming<T>({ document }: Subject, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== 'not-found' || document === undefined) throw error;
    throw new Problem('not-found', `No document is called “${document}”.`, error.status);
  }
}

function written(parts: Readonly<Record<string, unknown>>): string {
  const told = Object.entries(parts).filter(([, part]) => part !== undefined);
  return new URLSearchParams(told.map(([name, part]) => [name, typeof part === 'string' ? part : JSON.stringify(part)])).toString();
}

/** An object in an address; addresses are written by people, too, and may say anything. */
function object(about: URLSearchParams, name: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(about.get(name) ?? 'null');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
