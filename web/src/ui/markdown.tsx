import { lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';

/** What becomes of a piece of plain text, such as citations made to buttons. */
export type Weave = (text: string) => ComponentChildren;

/**
 * Markdown as elements. The text comes from documents and models, so it is never made markup:
 * HTML in it is shown as it is written, and images are named and not loaded.
 */
export function Markdown({ text, weave = (plain) => plain }: { text: string; weave?: Weave }) {
  const tokens = useMemo(() => outlined(lexer(text)), [text]);
  return <>{blocks(tokens, weave)}</>;
}

/** The page's own headings stand above, so that these begin at the third level, and leave none out. */
function outlined(tokens: Token[]): Token[] {
  const headings = tokens.filter((token): token is Tokens.Heading => token.type === 'heading');
  const top = Math.min(...headings.map(({ depth }) => depth));
  let last = 2;
  for (const heading of headings) {
    last = Math.min(heading.depth - top + 3, last + 1, 6);
    heading.depth = last;
  }
  return tokens;
}

function blocks(tokens: readonly Token[], weave: Weave): ComponentChildren {
  return tokens.map((token, place) => <Block key={place} token={token as MarkedToken} weave={weave} />);
}

function Block({ token, weave }: { token: MarkedToken; weave: Weave }) {
  switch (token.type) {
    case 'heading': {
      const Heading = (['h3', 'h4', 'h5', 'h6'] as const)[token.depth - 3] ?? 'h6';
      return <Heading>{inline(token.tokens, weave)}</Heading>;
    }
    case 'paragraph':
      return <p>{inline(token.tokens, weave)}</p>;
    case 'blockquote':
      return <blockquote>{blocks(token.tokens, weave)}</blockquote>;
    case 'code':
      return (
        // Keyboards must be able to scroll it.
        <pre tabIndex={0}>
          <code>{token.text}</code>
        </pre>
      );
    case 'list':
      return <List list={token} weave={weave} />;
    case 'table':
      return <Table table={token} weave={weave} />;
    case 'hr':
      return <hr />;
    case 'space':
    case 'def':
      return null;
    default:
      return <>{inline([token], weave)}</>;
  }
}

function List({ list, weave }: { list: Tokens.List; weave: Weave }) {
  const items = list.items.map((item, place) => <li key={place}>{blocks(item.tokens, weave)}</li>);
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table, weave }: { table: Tokens.Table; weave: Weave }) {
  const row = (cells: readonly Tokens.TableCell[], Cell: 'th' | 'td') => (
    <tr>
      {cells.map((cell, place) => (
        <Cell key={place}>{inline(cell.tokens, weave)}</Cell>
      ))}
    </tr>
  );
  return (
    <div class="table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>{row(table.header, 'th')}</thead>
        <tbody>
          {table.rows.map((cells, place) => (
            <Row key={place}>{row(cells, 'td')}</Row>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ children }: { children: ComponentChildren }) {
  return <>{children}</>;
}

function inline(tokens: readonly Token[], weave: Weave): ComponentChildren {
  return tokens.map((token, place) => <Inline key={place} token={token as MarkedToken} weave={weave} />);
}

function Inline({ token, weave }: { token: MarkedToken; weave: Weave }) {
  switch (token.type) {
    case 'text':
      return <>{token.tokens ? inline(token.tokens, weave) : weave(token.text)}</>;
    case 'strong':
      return <strong>{inline(token.tokens, weave)}</strong>;
    case 'em':
      return <em>{inline(token.tokens, weave)}</em>;
    case 'del':
      return <del>{inline(token.tokens, weave)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'escape':
      return <>{token.text}</>;
    case 'link':
      return <Link to={token.href}>{inline(token.tokens, weave)}</Link>;
    case 'image':
      return <>{token.text}</>;
    default:
      return <>{token.raw}</>;
  }
}

/** Only addresses of the web are followed, and the other side does not learn from where. */
function Link({ to, children }: { to: string; children: ComponentChildren }) {
  if (!/^https?:\/\//i.test(to)) return <>{children}</>;
  return (
    <a href={to} target="_blank" rel="noopener noreferrer" title={to}>
      {children}
    </a>
  );
}
