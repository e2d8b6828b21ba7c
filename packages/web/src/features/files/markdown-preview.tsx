import DOMPurify from "dompurify";
import { marked } from "marked";
import { useMemo } from "react";

/** Markdown as a page, of which nothing runs, is styled by the file, or loads anything. */
export default function MarkdownPreview({ text }: { text: string }) {
  const html = useMemo(
    () =>
      DOMPurify.sanitize(marked.parse(text, { async: false }), {
        FORBID_TAGS: ["style", "form", "iframe"],
        FORBID_ATTR: ["style"],
      }),
    [text],
  );
  // biome-ignore lint/security/noDangerouslySetInnerHtml: sanitized above, and the page's policy runs no inline script
  return <article className="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
