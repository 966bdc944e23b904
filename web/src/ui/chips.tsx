/** Attributes and their values, such as a label's or a classification's. */
export type Attributes = Readonly<Record<string, unknown>>;

/** One chip a value. Its attribute is told to screen readers, and to whoever points at it. */
export function Chips({ of }: { of: Attributes }) {
  const chips = Object.entries(of).flatMap(([name, value]) => values(value).map((text) => ({ name: spoken(name), text })));
  if (chips.length === 0) return null;
  return (
    <ul class="chips">
      {chips.map(({ name, text }) => (
        <li class="chip" key={`${name}=${text}`} title={`${name}: ${text}`}>
          <span class="hidden-visually">{name}: </span>
          {text}
        </li>
      ))}
    </ul>
  );
}

/** The values of an attribute or a claim as texts. */
export function values(value: unknown): string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(values);
  return [typeof value === 'string' ? value : JSON.stringify(value)];
}

/** A name as one says it: `clearance_level` → `clearance level`. */
export function spoken(name: string): string {
  return name.replace(/[_-]+/g, ' ').replace(/^\//, '').replaceAll('/', ' › ');
}
