// Ends a run with what each failure said, because the end is all that a log of continuous integration may keep.

import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';

export default class Causes {
  #causes = [];

  printsToStdio() {
    return true;
  }

  onTestEnd(test, result) {
    if (test.ok()) return;
    for (const { message } of result.errors) {
      const lines = stripVTControlCharacters(message ?? '').split('\n').filter((line) => line.trim());
      this.#causes.push(`${path.basename(test.location.file)}:${test.location.line} ${lines.slice(0, 12).join('\n    ')}`);
    }
  }

  onEnd() {
    if (this.#causes.length > 0) console.log(`\nWhat went wrong:\n${this.#causes.map((cause) => `  ${cause}`).join('\n')}`);
  }
}
