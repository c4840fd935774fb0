import { z } from "zod";

/** One option that is not an object of options itself. */
export interface LeafField {
  /** Names from the root, e.g. ["sink", "brokers"]. */
  readonly path: readonly string[];
  readonly kind: "string" | "number" | "boolean" | "list";
  readonly description: string;
  /** undefined: none. */
  readonly defaultValue: unknown;
}

/** Every option of a schema, in its order, objects of options walked through. */
export function leafFields(schema: z.ZodType, path: readonly string[] = []): LeafField[] {
  const { inner, defaultValue, description } = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([name, field]) => leafFields(field, [...path, name]));
  }
  return [{ path, kind: leafKind(inner), description: description ?? "", defaultValue }];
}

/** The field names of the object at `path` (list positions are numbers); none when there is no object. */
export function fieldNamesAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let { inner } = unwrap(schema);
  for (const step of path) {
    const next = childSchema(inner, step);
    if (next === undefined) return [];
    inner = unwrap(next).inner;
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function childSchema(schema: z.ZodType, step: PropertyKey): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) return (schema.shape as Record<PropertyKey, z.ZodType>)[step];
  if (schema instanceof z.ZodArray) return schema.element as z.ZodType;
  return undefined;
}

function leafKind(schema: z.ZodType): LeafField["kind"] {
  if (schema instanceof z.ZodArray) return "list";
  if (schema instanceof z.ZodBoolean) return "boolean";
  return schema instanceof z.ZodNumber ? "number" : "string";
}

interface Unwrapped {
  readonly inner: z.ZodType;
  readonly defaultValue: unknown;
  readonly description: string | undefined;
}

/** Takes off what only says "may be left out". */
function unwrap(schema: z.ZodType): Unwrapped {
  let inner = schema;
  let defaultValue: unknown;
  let description = schema.description;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    if (!(inner instanceof z.ZodOptional)) defaultValue = inner.def.defaultValue;
    inner = inner.unwrap() as z.ZodType;
    description ??= inner.description;
  }
  return { inner, defaultValue, description };
}
