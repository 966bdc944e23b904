import type { DialogHTMLAttributes, JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

interface Props extends DialogHTMLAttributes {
  /** Takes the dialog away: it was left with Escape, or by a press beside it. */
  leave: () => void;
}

/** A modal dialog: the browser keeps the focus in it and gives it back. */
export function Modal({ leave, children, ...attributes }: Props): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  // Not an effect, which waits for the next frame: an Escape that is pressed until then would be lost.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      {...attributes}
      ref={dialog}
      onCancel={(event) => {
        event.preventDefault();
        leave();
      }}
    >
      {children}
    </dialog>
  );
}
