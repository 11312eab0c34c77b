/**
 * The rules for names that become host names: projects and environments are DNS labels joined by `-`, custom
 * domains are any host that a client can send (RFC 1123 names, `localhost`, IP literals).
 */
import { domainToASCII } from 'node:url';
import { invalidField } from './problem.ts';

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;
const IPV4_LIKE = /^[0-9.]+$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A DNS label has 63 bytes; `-` and six digits of a deployment number must fit behind the environment's id. */
const LONGEST_ID = 63 - 7;

export const environmentId = (project: string, environment: string): string => `${project}-${environment}`;
export const permalinkLabel = (id: string, number: number): string => `${id}-${number}`;

/** Throws a `Problem` naming `project` or `environment` and what is wrong with it. */
export function checkNames(project: string, environment: string): void {
  checkLabel('project', project);
  checkLabel('environment', environment);
  const { length } = environmentId(project, environment);
  if (length <= LONGEST_ID) return;
  const detail = `'${project}-${environment}' has ${length} characters; as part of a host name at most ${LONGEST_ID} fit`;
  throw invalidField('environment', detail);
}

function checkLabel(field: string, name: string): void {
  if (LABEL.test(name)) return;
  const fault = name === '' ? 'is empty' : `'${name}' cannot be part of a host name`;
  throw invalidField(field, `${fault}: use lower-case letters, digits and inner hyphens, such as 'shop' or 'my-shop'`);
}

/** Two ids that would claim the same generated host: equal, or one is the other's permalink. */
export function idsCollide(one: string, other: string): boolean {
  return one === other || isPermalinkOf(one, other) || isPermalinkOf(other, one);
}

function isPermalinkOf(label: string, id: string): boolean {
  return label.startsWith(`${id}-`) && /^[0-9]+$/.test(label.slice(id.length + 1));
}

/** True when `host` is, or may become, a generated host of the environment under the platform's domain. */
export function isGeneratedHost(host: string, id: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const label = host.slice(0, -domain.length - 1);
  return label === id || isPermalinkOf(label, id);
}

/** The canonical form of a custom domain: lower case, punycode, no port, IPv6 in brackets and shortest form. */
export function canonicalHost(input: string): string {
  const text = input.trim().toLowerCase().replace(/\.$/, '');
  if (text === '') throw invalidField('host', 'is empty');
  if (text.includes('*')) throw invalidField('host', `'${input}': a wildcard is not a host; add each name by itself`);
  if (/^[a-z]+:\/\//.test(text) || text.includes('/')) {
    throw invalidField('host', `'${input}' is an address; give only the host name, such as www.example.com`);
  }
  return text.includes(':') ? canonicalIpv6(text, input) : canonicalName(text, input);
}

function canonicalIpv6(text: string, input: string): string {
  const bracketed = text.startsWith('[') ? text : `[${text}]`;
  const url = URL.parse(`http://${bracketed}/`);
  if (url !== null && bracketed.endsWith(']')) return url.hostname;
  throw invalidField('host', `'${input}' has a port or is no IPv6 address; give the host without port`);
}

function canonicalName(text: string, input: string): string {
  const name = domainToASCII(text);
  if (IPV4_LIKE.test(name)) {
    if (name === text && URL.parse(`http://${name}/`)?.hostname === name) return name;
    throw invalidField('host', `'${input}' is no IPv4 address`);
  }
  const labels = name.split('.');
  if (name !== '' && name.length <= 253 && labels.every((label) => label.length <= 63 && HOST_LABEL.test(label))) {
    return name;
  }
  throw invalidField('host', `'${input}' is no host name: labels of letters, digits and inner hyphens, up to 63 each`);
}

export function checkVariableName(name: string): void {
  if (VARIABLE.test(name)) return;
  throw invalidField('name', `'${name}' is no variable name: letters, digits and _, not starting with a digit`);
}
