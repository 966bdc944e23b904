// Which view the address names.

import { computed, signal } from '@preact/signals';

const address = signal(location.pathname);

addEventListener('popstate', () => {
  address.value = location.pathname;
});

/** The path of the page's address, such as `/admin/agents`. */
export const path = computed(() => address.value);

/** Goes to another view of the app. */
export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  address.value = location.pathname;
}

/** Follows a link within the app without loading the page anew. For a container's `onClick`. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest('a');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.target) return;
  if (!isView(link.pathname)) return;
  event.preventDefault();
  go(link.pathname);
}

function isView(pathname: string): boolean {
  return pathname === '/' || /^\/(c|admin)(\/|$)/.test(pathname);
}
