// Which view the address names.

import { computed, signal } from '@preact/signals';

const address = signal(here());

addEventListener('popstate', () => {
  address.value = here();
});

/** The path of the page's address, such as `/admin/agents`. */
export const path = computed(() => address.value.split('#', 1)[0] ?? '/');

/** What the view is about, such as `#document=handbook.md`. Behind a `#`, because what stands there reaches no server's log. */
export const about = computed(() => new URLSearchParams(address.value.split('#')[1] ?? ''));

/** The page's address within this site. */
export function here(): string {
  return location.pathname + location.hash;
}

/** Goes to another view of the app. */
export function go(to: string, { replace = false } = {}): void {
  if (to === here()) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  address.value = here();
}

/** Follows a link within the app without loading the page anew. For a container's `onClick`. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest('a');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.target) return;
  if (!isView(link.pathname)) return;
  event.preventDefault();
  // A link within the view, such as "To the content", moves the focus and leaves the address alone.
  if (link.getAttribute('href')?.startsWith('#')) document.getElementById(link.hash.slice(1))?.focus();
  else go(link.pathname + link.hash);
}

function isView(pathname: string): boolean {
  return pathname === '/' || /^\/(c|admin)(\/|$)/.test(pathname);
}
