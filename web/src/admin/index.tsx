// The administrator's views. Loaded when the first of them is opened.

import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import './admin.css';
import './answers.css';
import { path } from '../router';
import { Agents } from './agents';
import { Audit } from './audit';
import { Labels } from './labels';
import { PolicyView } from './policy';
import { ViewAs } from './view-as';
import { WhoView } from './who';

interface View {
  readonly at: string;
  readonly name: string;
  /** Its heading, where that says more than its name. */
  readonly title?: string;
  readonly about: string;
  readonly View: () => JSX.Element;
}

const AGENTS: View = { at: '/admin/agents', name: 'Agents', about: 'Workloads that bring documents, and what they may do.', View: Agents };
const VIEWS: readonly View[] = [
  AGENTS,
  { at: '/admin/audit', name: 'Audit', about: 'Who did what, and which documents went to whom.', View: Audit },
  { at: '/admin/labels', name: 'Labels', about: 'Which combinations of attributes documents have, and how many there are of each.', View: Labels },
  { at: '/admin/who', name: 'Who', title: 'Who can read this?', about: 'Whose claims open a document, or all documents with a label.', View: WhoView },
  { at: '/admin/view-as', name: 'View as', about: 'What a person with given claims could read, and why, or why not, a document.', View: ViewAs },
  { at: '/admin/policy', name: 'Policy', about: 'The rules in force, a bench to try them on, and what a change would do.', View: PolicyView },
];

/** The frame of all of them: where one is, where else one can go, and the view itself. */
export default function Admin(): JSX.Element {
  const here = VIEWS.find((view) => view.at === path.value) ?? AGENTS;
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => tabs.current?.querySelector('[aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' }), [here]);
  const frame = useRef<HTMLDivElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef(here);
  const title = here.title ?? here.name;
  useEffect(() => {
    document.title = `${title} · Bailiwick`;
  }, [title]);
  useEffect(() => {
    if (before.current === here) return;
    before.current = here;
    frame.current?.scrollTo(0, 0);
    // The link that led here may be gone with its view, and the focus with it.
    if (document.activeElement === document.body) heading.current?.focus();
  }, [here]);
  return (
    <div ref={frame} class="administration">
      <div class="page">
        <nav ref={tabs} class="admin-nav" aria-label="Administration">
          <ul>
            {VIEWS.map((view) => (
              <li key={view.at}>
                <a href={view.at} aria-current={view === here ? 'page' : undefined}>{view.name}</a>
              </li>
            ))}
          </ul>
        </nav>
        <header class="admin-head">
          <h1 ref={heading} tabIndex={-1}>{title}</h1>
          <p>{here.about}</p>
        </header>
        <here.View key={here.at} />
      </div>
    </div>
  );
}
