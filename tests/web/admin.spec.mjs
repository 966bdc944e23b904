// The administrator's views: for administrators, at work.

import { ask, expect, test } from './fixtures.mjs';

async function administer(person, view) {
  const page = await person('admin');
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: view, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: view })).toBeVisible();
  return page;
}

test('an agent is registered, delegated to, and revoked', async ({ person }) => {
  const page = await administer(person, 'Agents');
  const name = `courier-${Date.now()}`;
  await page.getByRole('button', { name: 'New agent' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('combobox', { name: 'It proves itself by' }).selectOption('client-id');
  await page.getByRole('button', { name: 'Register' }).click();
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText('nothing');

  await row.getByRole('button', { name: `Delegate ${name}` }).click();
  await page.getByRole('textbox', { name: 'Permissions' }).fill('read:records write:documents');
  await page.getByRole('dialog').getByRole('button', { name: 'Delegate' }).click();
  await expect(row).toContainText('read:records');
  await expect(row).toContainText('never');

  await row.getByRole('button', { name: `Revoke ${name}` }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText(name);
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(row.getByRole('button', { name: `Revoke ${name}` })).toBeFocused();
  await page.keyboard.press('Enter');
  await dialog.getByRole('button', { name: `Revoke ${name}` }).click();
  await expect(page.getByRole('status').filter({ hasText: `${name} is revoked.` })).toBeVisible();
  await expect(page.getByRole('table', { name: 'Agents', exact: true })).not.toContainText(name);
  await expect(page.getByRole('table', { name: 'Revoked agents' })).toContainText(name);
});

/** Registers an agent and delegates to it, up to the bounds; says its client id. */
async function appoint(page, name, bound) {
  await page.getByRole('button', { name: 'New agent' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('combobox', { name: 'It proves itself by' }).selectOption('client-id');
  await page.getByRole('button', { name: 'Register' }).click();
  await page.getByRole('button', { name: `Delegate ${name}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Permissions' }).fill('write:documents');
  await bound(dialog);
  await dialog.getByRole('button', { name: 'Delegate' }).click();
  await expect(dialog).toBeHidden();
  const row = page.getByRole('row').filter({ hasText: name });
  return row.locator('code').textContent();
}

/** Stores a document as an agent does. */
async function bring(demo, client, id, metadata) {
  const { token } = await (await fetch(`${demo.url}/authsec/uflow/sdk/delegation-token?client_id=${client}`)).json();
  return fetch(`${demo.url}/api/documents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ documents: [{ id, text: 'The canteen opens at noon.', metadata }] }),
  });
}

test('a delegation is bounded, and a later one takes the bounds over', async ({ person, demo }) => {
  const page = await administer(person, 'Agents');
  const name = `bounded-${Date.now()}`;
  const client = await appoint(page, name, async (dialog) => {
    const writes = dialog.getByRole('group', { name: 'Documents that it may write' });
    await expect(writes).toContainText('Any');
    await writes.getByRole('button', { name: 'Add a bound' }).click();
    await expect(writes.getByRole('combobox', { name: 'Attribute' })).toBeFocused();
    await writes.getByRole('textbox', { name: 'Value' }).fill('hr, sales');
    await writes.getByRole('button', { name: 'Add a bound' }).click();
    const second = writes.locator('.bound').nth(1);
    await second.getByRole('combobox', { name: 'Attribute' }).selectOption('clearance_level');
    await second.getByRole('combobox', { name: 'How' }).selectOption('is at most');
    await second.getByRole('combobox', { name: 'Value' }).selectOption('Internal');
    const reads = dialog.getByRole('group', { name: 'Documents that it may read for people' });
    await reads.getByRole('button', { name: 'Add a bound' }).click();
    await reads.getByRole('textbox', { name: 'Value' }).fill('sales');
  });
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText('writes where clearance_level ≤ Internal; department = hr, sales');
  await expect(row).toContainText('reads for people where department = sales');
  expect((await bring(demo, client, `${name}/a`, { department: 'legal', clearance_level: 'Public' })).status).toBe(403);
  expect((await bring(demo, client, `${name}/a`, { department: 'hr', clearance_level: 'Secret' })).status).toBe(403);
  expect((await bring(demo, client, `${name}/a`, { department: 'hr', clearance_level: 'Public' })).status).toBe(200);

  await row.getByRole('button', { name: `Delegate ${name}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Remove the bound on clearance_level' }).click();
  await expect(dialog.getByRole('button', { name: 'Add a bound' }).first()).toBeFocused();
  await dialog.getByRole('button', { name: 'Delegate' }).click();
  await expect(row).toContainText('writes where department = hr, sales');
  await expect(row).not.toContainText('clearance_level');
  await expect(row).toContainText('reads for people where department = sales');
});

test('what a revoked agent brought is quarantined, released and removed', async ({ person, demo }) => {
  const page = await administer(person, 'Agents');
  const name = `rogue-${Date.now()}`;
  const client = await appoint(page, name, () => undefined);
  const id = `${name}/canteen`;
  expect((await bring(demo, client, id, { department: 'hr', clearance_level: 'Public' })).status).toBe(200);

  const dialog = page.getByRole('dialog');
  const row = page.getByRole('table', { name: 'Revoked agents' }).getByRole('row').filter({ hasText: name });
  const decide = async (button, confirmed = button) => {
    await page.getByRole('button', { name: button, exact: true }).click();
    await dialog.getByRole('button', { name: confirmed }).click();
    await expect(dialog).toBeHidden();
  };
  await page.getByRole('button', { name: `Revoke ${name}` }).click();
  await dialog.getByRole('checkbox', { name: /^Quarantine what it brought/ }).check();
  await dialog.getByRole('button', { name: `Revoke ${name}` }).click();
  await expect(row).toContainText('in quarantine');

  const reader = await person('admin');
  const readable = async () => {
    await reader.goto(`${demo.url}/admin/who#document=${encodeURIComponent(id)}`);
    await reader.reload();
    await expect(reader.getByRole('heading', { level: 2, name: id })).toBeVisible();
    return !(await reader.getByText('in quarantine').isVisible());
  };
  expect(await readable()).toBe(false);
  await decide(`Release what ${name} brought`);
  await expect(row).toContainText('stays');
  expect(await readable()).toBe(true);
  await decide(`Quarantine what ${name} brought`);
  expect(await readable()).toBe(false);
  await decide(`Remove what ${name} brought`);
  await expect(row).toContainText('removed');
  await expect(row.getByRole('button')).toHaveCount(0);

  await page.goto(`${demo.url}/admin/audit#agent=${name}`);
  const trail = page.getByRole('row');
  await expect(trail.filter({ hasText: `Released what ${name} brought` })).toContainText('admin');
  await expect(trail.filter({ hasText: 'Agent revoked' }).first()).toContainText(`Quarantined what ${name} brought`);
});

test.describe('a mistake', () => {
  test.use({ tolerated: [/status of 409/] });

  test('a mistake in a form is told in the form', async ({ person }) => {
    const page = await administer(person, 'Agents');
    await page.getByRole('button', { name: 'New agent' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('acme-reader');
    await page.getByRole('combobox', { name: 'It proves itself by' }).selectOption('client-id');
    await page.getByRole('button', { name: 'Register' }).click();
    await expect(page.getByRole('dialog').getByRole('alert')).toContainText('acme-reader');
  });
});

test('the trail is searched by person and narrowed by a click', async ({ person }) => {
  await ask(await person('alice'), 'What is project Phoenix?');
  const page = await administer(person, 'Audit');
  await page.getByRole('textbox', { name: 'Person' }).fill('alice');
  await page.getByRole('button', { name: 'Search' }).click();
  const rows = page.getByRole('row').filter({ hasText: 'Retrieved' });
  await expect(rows.first()).toContainText('alice');
  await rows.first().getByRole('button', { name: 'engineering/phoenix-charter.md' }).click();
  await expect(page.getByRole('textbox', { name: 'Document' })).toHaveValue('engineering/phoenix-charter.md');
  await expect(rows.first()).toContainText('engineering/phoenix-charter.md');
});

test('the keyboard gets past the navigation, and back to where it was', async ({ person, demo }) => {
  const page = await person('admin');
  await page.goto(`${demo.url}/admin/agents`);
  await expect(page.getByRole('heading', { level: 1, name: 'Agents' })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'To the content' })).toBeFocused();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Agents', exact: true })).toBeFocused();
  expect(page.url()).toBe(`${demo.url}/admin/agents`);
  const take = page.getByRole('button', { name: 'Take back from acme-reader' });
  await take.press('Enter');
  await page.keyboard.press('Escape');
  await expect(take).toBeFocused();
});

test('an administrator gets from a source to who else can read it', async ({ person }) => {
  const page = await person('admin');
  const turn = await ask(page, 'What is project Phoenix?');
  await turn.getByRole('button', { name: /^Source 1/ }).first().click();
  await page.getByRole('link', { name: 'Who else can read this?' }).click();
  await expect(page.getByRole('heading', { level: 2, name: 'sales/project-phoenix-one-pager.md' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('article')).toHaveCount(1);
});

test("an administrator's questions are on record, in words", async ({ person, demo }) => {
  const page = await administer(person, 'Who');
  await page.goto(`${demo.url}/admin/who#document=engineering%2Fphoenix-charter.md`);
  await expect(page.getByRole('heading', { name: 'engineering/phoenix-charter.md' })).toBeVisible();
  await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('combobox', { name: 'Event' }).selectOption('Administration');
  await page.getByRole('textbox', { name: 'Person' }).fill('admin');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByRole('button', { name: 'Search' })).toBeFocused();
  const asked = page.getByRole('row').filter({ hasText: 'Asked who can read engineering/phoenix-charter.md' }).first();
  await expect(asked).toContainText('admin');
  await asked.getByText(/^Record \d+/).click();
  await expect(asked.getByText('request id')).toBeVisible();
  await expect(page.getByRole('row').filter({ hasText: 'Searched the audit trail: person admin, event admin' }).first()).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('textbox', { name: 'Person' })).toHaveValue('');
});

test('labels are counted', async ({ person }) => {
  const page = await administer(person, 'Labels');
  await expect(page.getByRole('row').filter({ hasText: 'engineering' }).filter({ hasText: 'Secret' }).first()).toBeVisible();
  await expect(page.getByText(/\d+ documents in \d+ chunks under \d+ labels/)).toBeVisible();
});

test('view-as shows what claims open, and why not a document', async ({ person }) => {
  const page = await administer(person, 'View as');
  await page.getByRole('textbox', { name: 'department', exact: true }).fill('sales');
  await page.getByRole('textbox', { name: 'user_clearance' }).fill('Internal');
  await page.getByRole('textbox', { name: 'projects' }).fill('');
  await page.getByRole('textbox', { name: "A document's id" }).fill('engineering/phoenix-charter.md');
  await page.getByRole('button', { name: 'View', exact: true }).click();
  await expect(page.getByText('May not be read')).toBeVisible();
  await expect(page.getByRole('listitem').filter({ hasText: 'department in claim department fails' })).toContainText('"engineering"');
  await expect(page.getByText(/\d+ documents? in \d+ chunks? under 1 label/)).toBeVisible();
});

test('the policy is shown, and tried on the bench', async ({ person }) => {
  const page = await administer(person, 'Policy');
  await expect(page.getByRole('region', { name: 'Rules' })).toContainText('clearance_level lte claim user_clearance');
  const bench = page.getByRole('region', { name: 'Test bench' });
  const claims = bench.getByRole('group', { name: "The person's claims" });
  const attributes = bench.getByRole('group', { name: "The document's attributes" });
  await claims.getByRole('textbox', { name: 'department' }).fill('hr, sales');
  await claims.getByRole('textbox', { name: 'user_clearance' }).fill('Restricted');
  await attributes.getByRole('textbox', { name: 'department' }).fill('sales');
  await attributes.getByRole('combobox', { name: 'clearance_level' }).selectOption('Secret');
  await bench.getByRole('button', { name: 'Decide' }).click();
  await expect(bench).toContainText('May not be read');
  await attributes.getByRole('combobox', { name: 'clearance_level' }).selectOption('Restricted');
  await bench.getByRole('button', { name: 'Decide' }).click();
  await expect(bench).toContainText('May be read');
});

test('a change of the policy says who gains and loses what, and puts nothing in force', async ({ person }) => {
  await ask(await person('bob'), 'What does the S3 sensor cost?');
  const page = await administer(person, 'Policy');
  const change = page.getByRole('region', { name: 'Try a change' });
  const text = change.getByRole('textbox', { name: 'The changed policy' });
  const compare = change.getByRole('button', { name: 'Compare' });
  await compare.click();
  await expect(change).toContainText('Nobody gains or loses anything');
  await expect(change).toContainText('This is the policy that is in force.');

  // Projects no longer matter: people gain the documents of all projects of their departments.
  const [two] = (await text.inputValue()).split(/(?=\[\[policy\.rule\]\]\nattribute = "project_id")/);
  await text.fill(two);
  await compare.click();
  const bob = change.getByRole('listitem').filter({ hasText: 'departmentsalesprojects' });
  await expect(bob).toContainText(/Gains \d+ documents? under \d+ labels?/);
  await expect(bob).toContainText('Loses nothing.');
  await bob.getByText(/^. ?Gains/).click();
  await expect(bob.getByRole('row').filter({ hasText: 'atlas' }).first()).toBeVisible();

  // A claim that nobody has read yet, and somebody who has not asked.
  await text.fill(`${two}\n[[policy.rule]]\nattribute = "project_id"\nop = "in"\nclaim = "teams"\n`);
  await compare.click();
  await expect(bob).toContainText('Not known yet: what their tokens say of teams.');
  await change.getByText('Compare for one person more').click();
  await change.getByRole('textbox', { name: 'user_clearance' }).fill('Secret');
  await change.getByRole('textbox', { name: 'department' }).fill('legal');
  await compare.click();
  await expect(change.getByRole('listitem').filter({ hasText: 'departmentlegaluser_clearance' })).toContainText(/Loses \d+ documents/);

  await page.reload();
  await expect(page.getByRole('region', { name: 'Rules' })).toContainText('project_id in claim projects');
});

test.describe('a mistake in a policy', () => {
  test.use({ tolerated: [/status of 400/] });

  test('is told beside the field, with its line', async ({ person }) => {
    const page = await administer(person, 'Policy');
    const change = page.getByRole('region', { name: 'Try a change' });
    const text = change.getByRole('textbox', { name: 'The changed policy' });
    const selected = () => text.evaluate((field) => field.value.slice(field.selectionStart, field.selectionEnd));
    const policy = await text.inputValue();
    await text.fill(policy.replace('op = "lte"', 'op = "below"'));
    await change.getByRole('button', { name: 'Compare' }).click();
    await expect(change.getByRole('alert')).toContainText(/^Line \d+, column 1: op: write one of/);
    await expect(text).toBeFocused();
    await expect(text).toHaveAttribute('aria-invalid', 'true');
    expect(await selected()).toBe('op = "below"');

    await text.fill(policy.replace('op = "lte"', 'op = lte'));
    await change.getByRole('button', { name: 'Compare' }).click();
    await expect(change.getByRole('alert')).toContainText(/^Line \d+, column \d+: /);
    await text.fill('[identity]');
    await expect(change.getByRole('alert')).toHaveCount(0);
    await change.getByRole('button', { name: 'Compare' }).click();
    await expect(change.getByRole('alert')).toContainText('There is no policy in this text.');
    await change.getByRole('button', { name: 'Undo all' }).click();
    await expect(text).toHaveValue(policy);
  });
});

test('who can read a document, or a label, and why', async ({ person }) => {
  await ask(await person('alice'), 'What is project Phoenix?');
  const page = await administer(person, 'Who');
  await page.getByRole('textbox', { name: "A document's id" }).fill('engineering/phoenix-charter.md');
  await page.getByRole('button', { name: 'Ask' }).click();
  await expect(page.getByText(/1 of \d+ known sets? of claims can read this/)).toBeVisible();
  const readers = page.getByRole('list', { name: 'Who can read this' }).getByRole('listitem');
  const alice = readers.filter({ hasText: 'TopSecret' }).first();
  await expect(alice).toContainText('engineering');
  await alice.getByText('Why?').click();
  await expect(alice).toContainText('May be read');
  await expect(alice).toContainText('clearance_level lte claim user_clearance holds');

  await alice.getByRole('link', { name: 'View as' }).click();
  await expect(page.getByRole('textbox', { name: 'user_clearance' })).toHaveValue('TopSecret');
  await expect(page.getByRole('region', { name: 'The document' })).toContainText('May be read');
  await page.getByRole('textbox', { name: 'user_clearance' }).fill('Public');
  await page.getByRole('button', { name: 'View', exact: true }).click();
  await expect(page.getByRole('region', { name: 'The document' })).toContainText('May not be read');
  await expect(page.getByRole('button', { name: 'View', exact: true })).toBeFocused();
  await page.goBack();
  await expect(page.getByRole('textbox', { name: 'user_clearance' })).toHaveValue('TopSecret');
  await page.getByRole('link', { name: 'Who can read this?' }).click();
  await expect(page.getByRole('heading', { name: 'engineering/phoenix-charter.md' })).toBeVisible();

  await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: 'Labels' }).click();
  await page.getByRole('link', { name: /^Who can read clearance_level TopSecret, department legal, project_id harbor/ }).press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Who can read this?' })).toBeFocused();
  await expect(page.getByText(/None of \d+ known sets? of claims can read this/)).toBeVisible();
});

test.describe('a document that is not there', () => {
  test.use({ tolerated: [/status of 404/] });

  test('is named', async ({ person }) => {
    const page = await administer(person, 'Who');
    await page.getByRole('textbox', { name: "A document's id" }).fill('nothing.md');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('alert')).toContainText('No document is called “nothing.md”.');
  });
});

test.describe('people without the claim', () => {
  test.use({ tolerated: [/status of 403/] });

  test('see no way there, and the server keeps them out who find it', async ({ person, demo }) => {
    const page = await person('alice');
    await expect(page.getByRole('link', { name: 'Administration' })).toHaveCount(0);
    await page.goto(`${demo.url}/admin/agents`);
    await expect(page.getByText('Only an administrator may do this.')).toBeVisible();
  });
});
