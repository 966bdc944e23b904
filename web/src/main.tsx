import { render } from 'preact';

import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/frame.css';
import './styles/chat.css';
import { App } from './app';
import { lookAfterKept } from './chat/keep';
import { lookAfter } from './chat/waiting';
import { install } from './session/link';
import { watchMe } from './session/me';
import { start } from './session/session';

const root = document.getElementById('app');
if (root) render(<App />, root);

watchMe();
lookAfterKept();
lookAfter();
void install();
void start();
