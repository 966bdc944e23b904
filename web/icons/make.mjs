// Makes the PNG icons of the mark with a Chromium that is there: `npm run icons [path/to/chromium]`.
// They are checked in, so that a build needs none.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const chromium = process.argv[2] ?? '/usr/bin/chromium';
const publicFolder = path.join(import.meta.dirname, '..', 'public');
const mark = readFileSync(path.join(publicFolder, 'mark.svg'), 'utf8');

/** A launcher may cut a maskable icon to any shape that holds the middle 80 percent. */
const maskable = mark.replace('rx="7"', '').replace('viewBox="0 0 32 32"', 'viewBox="-4 -4 40 40"').replace('<rect width="32" height="32"', '<rect x="-4" y="-4" width="40" height="40"');

const folder = mkdtempSync(path.join(tmpdir(), 'icons-'));
for (const [name, drawing, size] of [
  ['icon-180.png', maskable, 180],
  ['icon-192.png', mark, 192],
  ['icon-512.png', mark, 512],
  ['icon-maskable-512.png', maskable, 512],
]) {
  const page = path.join(folder, 'icon.html');
  const sized = drawing.replace('<svg ', `<svg width="${size}" height="${size}" style="display:block" `);
  writeFileSync(page, `<!doctype html><style>body{margin:0}</style>${sized}`);
  execFileSync(chromium, [
    '--headless', '--no-sandbox', '--hide-scrollbars', '--default-background-color=00000000', '--force-device-scale-factor=1',
    `--window-size=${size},${size}`, `--screenshot=${path.join(publicFolder, name)}`, page,
  ], { stdio: 'ignore' });
}
rmSync(folder, { recursive: true });
