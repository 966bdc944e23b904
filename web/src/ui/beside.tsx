import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { useMedia } from './media';

interface Props {
  /** Where it stands. */
  side: 'left' | 'right';
  /** What it is called, for screen readers. */
  label: string;
  /** From which width on there is room for it beside the main column, such as `64rem`. */
  roomFrom: string;
  /** Whether it is open where there is no room. */
  open: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/** A column beside the main one where there is room, and a sheet over it where there is not. */
export function Beside({ side, label, roomFrom, open, onClose, children }: Props) {
  const room = useMedia(`(min-width: ${roomFrom})`);
  if (room) {
    return (
      <aside class={`beside ${side}`} aria-label={label}>
        {children}
      </aside>
    );
  }
  return open ? (
    <Sheet side={side} label={label} onClose={onClose}>
      {children}
    </Sheet>
  ) : null;
}

/** A modal dialog: the browser keeps the focus in it, closes it on Esc and gives the focus back. */
function Sheet({ side, label, onClose, children }: Pick<Props, 'side' | 'label' | 'onClose' | 'children'>) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`sheet ${side}`}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        // The backdrop belongs to the dialog; its content does not.
        if (event.target === dialog.current) onClose();
      }}
    >
      {children}
    </dialog>
  );
}
