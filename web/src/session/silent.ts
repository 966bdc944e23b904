// Runs in the hidden frame that renews a session, and hands the provider's answer to the page.

import { UserManager } from 'oidc-client-ts';

void new UserManager({ authority: '', client_id: '', redirect_uri: '' }).signinSilentCallback();
