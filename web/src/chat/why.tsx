import { useSignal } from '@preact/signals';

import { call } from '../api/client';
import { Problem } from '../api/problem';
import type { components } from '../api/schema';
import { Icon } from '../ui/icon';
import { spoken } from '../ui/chips';

type Reasons = components['schemas']['Why'];
type Step = components['schemas']['Step'];

/** "Why do I see this?": the rules that let the reader read a document, and the claims that satisfy them. */
export function Why({ document }: { document: string }) {
  const reasons = useSignal<Reasons | null>(null);
  const problem = useSignal<string | null>(null);
  const look = async () => {
    try {
      reasons.value = await call('get', '/api/documents/{id}/why', { path: { id: document } });
    } catch (error) {
      problem.value = error instanceof Problem ? error.message : 'The reasons could not be loaded.';
    }
  };
  return (
    <details
      class="why"
      onToggle={(event) => {
        if (event.currentTarget.open && !reasons.value) void look();
      }}
    >
      <summary>
        <Icon name="shield" /> Why do I see this?
      </summary>
      <div aria-live="polite">
        {problem.value && <p class="bad">{problem.value}</p>}
        {reasons.value && (
          <>
            <ul>
              {reasons.value.rules.map((step) => (
                <li key={step.rule}>
                  <Reason step={step} />
                  <span class="rule">{step.text}</span>
                </li>
              ))}
            </ul>
            <p class="origin">Decided by policy {reasons.value.policy_revision}.</p>
          </>
        )}
      </div>
    </details>
  );
}

function Reason({ step }: { step: Step }) {
  return (
    <span class="reason">
      <Icon name="check" />
      <span>{step.attribute ? <Compared attribute={step.attribute} step={step} /> : 'The policy allows it.'}</span>
    </span>
  );
}

function Compared({ attribute, step }: { attribute: string; step: Step }) {
  const has = step.document.join(', ');
  const says = (step.matched.length > 0 ? step.matched : step.claimed).join(', ');
  if (has === '') return <>It has no {spoken(attribute)}, and may be read without one.</>;
  return (
    <>
      Its {spoken(attribute)} is <strong>{has}</strong>
      {step.claim && says !== '' && (
        <>
          , and your sign-in has {spoken(step.claim)} <strong>{says}</strong>
        </>
      )}
      .
    </>
  );
}
