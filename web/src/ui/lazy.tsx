import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

/** A part of the app that is loaded when it is first shown. */
export function Lazy({ load }: { load: () => Promise<{ default: ComponentType }> }) {
  const part = useSignal<ComponentType | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    void load().then(
      (loaded) => (part.value = loaded.default),
      () => (failed.value = true),
    );
  }, [load, part, failed]);
  const Part = part.value;
  if (Part) return <Part />;
  return failed.value ? (
    <p class="notice failed">This part of the page could not be loaded. Check your connection and reload the page.</p>
  ) : null;
}
