import { render } from 'preact';

import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/frame.css';
import { App } from './app';
import { install } from './session/link';
import { start } from './session/session';

const root = document.getElementById('app');
if (root) render(<App />, root);

void install();
void start();
