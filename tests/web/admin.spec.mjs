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
  await expect(row).toHaveCount(0);
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
  const bob = change.getByRole('listitem').filter({ hasText: 'departmentsales' });
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
  await expect(change.getByRole('listitem').filter({ hasText: 'departmentlegal' })).toContainText(/Loses \d+ documents/);

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
    await expect(change.getByRole('alert')).toContainText(/^Line \d+, column 1: op: `below` is not one of/);
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
  await page.getByRole('link', { name: /^Who can read clearance_level TopSecret, department legal, project_id harbor/ }).click();
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
