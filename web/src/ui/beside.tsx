import type { ComponentChildren } from 'preact';

import { useMedia } from './media';
import { Modal } from './modal';

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

/** A dialog at a side of the window. Its backdrop belongs to it, its content does not: a press there leaves it. */
function Sheet({ side, label, onClose, children }: Pick<Props, 'side' | 'label' | 'onClose' | 'children'>) {
  return (
    <Modal class={`sheet ${side}`} aria-label={label} leave={onClose} onClick={(event) => event.target === event.currentTarget && onClose()}>
      {children}
    </Modal>
  );
}
