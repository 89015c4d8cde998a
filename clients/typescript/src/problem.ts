// Problems: what the gateway answers where it refuses (RFC 9457).

/** Where a schedule comes from: a timetable file, a program, or somebody over the API. */
export interface Source {
  from: "file" | "code" | "api" | (string & {});
  path?: string;
  program?: string;
  by?: string;
}

/** One thing that is wrong with a request. */
export interface Flaw {
  field: string;
  why: string;
  /** Which of several it is about. */
  place?: string;
  /** The first wrong character of a filter or an expression, from 1. */
  column?: number;
}

/** A problem; which members beside the first four it has depends on its type. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance?: string;
  id?: string;
  state?: string;
  source?: Source;
  key?: string;
  revision?: number;
  errors?: Flaw[];
}
