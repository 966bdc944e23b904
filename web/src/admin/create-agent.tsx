// A new agent.

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { text, useSending } from './form';
import { Buttons, Dialog, Field, Trouble } from './parts';

/** The dialog in which an administrator registers an agent. */
export function Create({ close, finish }: { readonly close: () => void; readonly finish: (what: string) => void }): JSX.Element {
  const [auth, setAuth] = useState('private-key-jwt');
  const sending = useSending(async (fields) => {
    const name = text(fields, 'name');
    const key = text(fields, 'public_key');
    await call('post', '/api/admin/agents', { body: { name, auth, ...(key === '' ? {} : { public_key: key }) } });
    finish(`${name} is registered. It may do nothing until you delegate to it.`);
  });
  return (
    <Dialog title="New agent" close={close}>
      <form onSubmit={sending.submit}>
        <Field name="Name" hint="Small letters, digits and hyphens. A name is given once and never again.">
          {(id, hint) => <input id={id} aria-describedby={hint} name="name" required pattern="[a-z0-9][a-z0-9\-]{0,62}" autocomplete="off" spellcheck={false} />}
        </Field>
        <Field name="It proves itself by" hint={auth === 'client-id' ? 'Weak: whoever knows the id is the agent. For the AuthSec clients, which can do no more.' : undefined}>
          {(id, hint) => (
            <select id={id} aria-describedby={hint} value={auth} onChange={(event) => setAuth(event.currentTarget.value)}>
              <option value="private-key-jwt">a private key (private_key_jwt)</option>
              <option value="jwt-svid">a SPIFFE JWT-SVID</option>
              <option value="client-id">its client id alone</option>
            </select>
          )}
        </Field>
        {auth !== 'client-id' && (
          <Field name={auth === 'jwt-svid' ? 'Trust bundle' : 'Public key'} hint={auth === 'jwt-svid' ? 'A JWK Set.' : 'PEM, a JWK or a JWK Set. Never the private half.'}>
            {(id, hint) => <textarea id={id} aria-describedby={hint} name="public_key" required rows={5} spellcheck={false} class="code" />}
          </Field>
        )}
        {sending.problem && <Trouble problem={sending.problem} />}
        <Buttons act="Register" busy={sending.busy} close={close} />
      </form>
    </Dialog>
  );
}
