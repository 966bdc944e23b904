// Why, or why not: a decision, rule by rule.

import type { JSX } from 'preact';

import type { components } from '../api/schema';

type Steps = components['schemas']['Explanation'];

const SIGNS = { true: { sign: '✓', word: 'holds' }, false: { sign: '✗', word: 'fails' }, null: { sign: '–', word: 'cannot hold' } };

/** The decision in a word, and what each rule said. */
export function Explained({ explanation }: { readonly explanation: Steps }): JSX.Element {
  const { allowed, steps } = explanation;
  return (
    <div class="explained">
      <p class={allowed ? 'verdict allowed' : 'verdict denied'}>{allowed ? 'May be read' : 'May not be read'}</p>
      <ol class="steps">
        {steps.map((step) => {
          const { sign, word } = SIGNS[String(step.holds ?? null) as keyof typeof SIGNS];
          return (
            <li key={step.rule} data-holds={String(step.holds ?? null)}>
              <span class="sign" aria-hidden="true">{sign}</span>
              <div>
                <p><strong>{step.text}</strong> {word}</p>
                <p class="quiet small words">{step.because}</p>
                <p class="quiet small"><code>{step.rule}</code></p>
              </div>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
